import type { FastifyReply } from 'fastify';
import { WaferError } from '../../core/errors.ts';

/** Aborts when the caller goes away before its answer is out. */
export function callerSignal(reply: FastifyReply): AbortSignal {
  const gone = new AbortController();
  const { raw } = reply;
  const leave = () => {
    if (!raw.writableFinished) gone.abort(new WaferError('cancelled', 'The caller went away.'));
  };
  if (raw.destroyed) leave();
  else raw.once('close', leave);
  return gone.signal;
}
