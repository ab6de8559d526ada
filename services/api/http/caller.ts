import type { ServerResponse } from 'node:http';
import type { FastifyReply } from 'fastify';
import { WaferError } from '../../core/errors.ts';
import { type CallerSignal, LightSignal } from '../../core/invocations/light-signal.ts';

/** Aborts when the caller goes away before its answer is out. */
export function callerSignal({ raw }: FastifyReply): AbortSignal {
  const gone = new AbortController();
  whenGone(raw, (reason) => gone.abort(reason));
  return gone.signal;
}

/** The same for a call, which there are many of. */
export function callerOfCall({ raw }: FastifyReply): CallerSignal {
  const gone = new LightSignal();
  whenGone(raw, (reason) => gone.abort(reason));
  return gone;
}

function whenGone(raw: ServerResponse, tell: (reason: WaferError) => void): void {
  const leave = () => {
    if (!raw.writableFinished) tell(new WaferError('cancelled', 'The caller went away.'));
  };
  if (raw.destroyed) leave();
  else raw.once('close', leave);
}
