/** Work that takes a while, as NDJSON while it goes on, or as one answer at its end. */
import { PassThrough } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { toProblem, WaferError } from '../../core/errors.ts';
import type { OnTransfer } from '../../core/images/progress.ts';
import { callerSignal } from '../http/caller.ts';
import { toWaferError } from '../http/problem.ts';

export const NDJSON = 'application/x-ndjson';

/** Nobody is there to read it; it is no failure of ours. */
function rethrow(error: unknown, signal: AbortSignal): never {
  if (!signal.aborted) throw error;
  throw new WaferError('cancelled', 'The caller went away before the end.', { cause: error });
}

/** Bytes that may wait for a slow reader; above it progress is left out, never the end. */
const MAX_WAITING = 256 * 1024;

export type Work = (onEvent: OnTransfer, signal: AbortSignal) => Promise<object>;

/**
 * With `Accept: application/x-ndjson` each event is a line, and the last one is `done` or `failed`.
 * What fails before the first event is an ordinary problem with its own status. The work ends
 * when the caller goes away.
 */
export async function answerWithProgress(work: Work, request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
  const signal = callerSignal(reply);
  const wantsLines = (request.headers.accept ?? '').toLowerCase().includes(NDJSON);
  if (!wantsLines) return work(() => {}, signal).catch((error: unknown) => rethrow(error, signal));
  const output = new PassThrough({ highWaterMark: MAX_WAITING });
  let begun: () => void = () => {};
  const first = new Promise<void>((resolve) => {
    begun = resolve;
  });
  const write = (line: object) => void (output.destroyed || output.write(`${JSON.stringify(line)}\n`));
  const result = work((event) => {
    begun();
    if (output.readableLength + output.writableLength < MAX_WAITING) write(event);
  }, signal);
  const settled = result.then(
    (value) => write({ type: 'done', result: value }),
    (error: unknown) => {
      const problem = toProblem(toWaferError(error));
      if (problem.status >= 500 && !signal.aborted) request.log.error({ err: error }, 'a transfer failed');
      write({ type: 'failed', problem });
    },
  );
  await Promise.race([first, result]);
  void settled.then(() => output.end());
  reply.header('content-type', NDJSON).header('x-accel-buffering', 'no');
  return reply.send(output);
}
