/**
 * Ends connections that stand still. Node's own request timeout counts from the first byte, so it
 * would also cut honest long uploads and calls; it is off, and one sweep looks at progress instead.
 */
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import { Socket } from 'node:net';
import { toProblem, WaferError } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import type { ApiLimits } from '../limits.ts';
import { PROBLEM_TYPE } from './problem.ts';

interface Watched {
  request: IncomingMessage;
  response: ServerResponse;
  /** Start of the window and the count of bytes at that time. */
  body: { since: number; bytes: number };
  answer: { since: number; bytes: number };
  /** Windows that the body may stand still. */
  patience: number;
}

/** A function may hold a conversation with its caller; its own time limit ends the call. */
const STREAM_PATIENCE = 4;

export interface SlowClientGuard {
  /** `streamed`: the body goes on to a function as it comes. */
  watch(request: IncomingMessage, response: ServerResponse, streamed: boolean): void;
  close(): void;
}

export function createSlowClientGuard(limits: ApiLimits, log: Log): SlowClientGuard {
  const active = new Set<Watched>();
  const sweep = () => {
    const now = performance.now();
    for (const one of active) {
      if (isBodyStalled(one, now, limits)) endSlowSender(one, log);
      else if (isReaderStalled(one, now, limits)) endSlowReader(one, log);
    }
  };
  const timer = setInterval(sweep, limits.sweepMs);
  timer.unref();
  return {
    watch(request, response, streamed) {
      const now = performance.now();
      const bytes = request.socket.bytesRead;
      const patience = streamed ? STREAM_PATIENCE : 1;
      const one = { request, response, body: { since: now, bytes }, answer: { since: now, bytes: -1 }, patience };
      active.add(one);
      response.once('close', () => {
        active.delete(one);
        linger(request, limits.lingerMs);
      });
    },
    close: () => clearInterval(timer),
  };
}

/** A full buffer on our side means that we are the slow ones: the window starts anew. */
function isBodyStalled({ request, body, patience }: Watched, now: number, limits: ApiLimits): boolean {
  const { socket } = request;
  if (request.complete || !(socket instanceof Socket)) return false;
  const weAreSlow = request.readableLength >= request.readableHighWaterMark;
  const enough = socket.bytesRead - body.bytes >= (patience > 1 ? 1 : limits.bodyStallBytes);
  if (!weAreSlow && !enough) return now - body.since >= limits.bodyStallMs * patience;
  body.since = now;
  body.bytes = socket.bytesRead;
  return false;
}

/** Counts what the kernel has taken. Nothing waiting means that there is nothing to take. */
function isReaderStalled({ response, answer }: Watched, now: number, limits: ApiLimits): boolean {
  const { socket } = response;
  if (!(socket instanceof Socket) || !response.headersSent) return false;
  const taken = socket.bytesWritten - socket.writableLength;
  if (socket.writableLength > 0 && taken === answer.bytes) return now - answer.since >= limits.readerStallMs;
  answer.since = now;
  answer.bytes = taken;
  return false;
}

/** Written past fastify: it is still waiting for the body and must not answer too. */
function endSlowSender({ request, response }: Watched, log: Log): void {
  log.debug({ from: request.socket.remoteAddress }, 'ended a request whose body stood still');
  if (!response.headersSent && request.socket.writable) {
    request.socket.write(plainProblem(new WaferError('request_timeout', 'The request body stood still for too long.')));
  }
  request.socket.destroySoon();
}

function endSlowReader({ response, request }: Watched, log: Log): void {
  log.debug({ from: request.socket.remoteAddress }, 'ended a connection that took no more of its answer');
  response.socket?.destroy();
}

/** The rest of a refused body is read away for a moment, so that the client gets to see the answer. */
function linger(request: IncomingMessage, ms: number): void {
  const { socket } = request;
  if (request.complete || socket.destroyed || !(socket instanceof Socket)) return;
  const stop = () => {
    clearTimeout(timer);
    socket.off('close', stop);
    request.off('end', stop);
  };
  const timer = setTimeout(() => {
    stop();
    if (!request.complete) socket.destroy();
  }, ms);
  timer.unref();
  socket.once('close', stop);
  request.once('end', stop);
}

/** A whole HTTP/1.1 answer for a connection that ends with it. `status` where the wire needs another one. */
export function plainProblem(error: WaferError, status: number = error.status): string {
  const body = JSON.stringify({ ...toProblem(error), status });
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    `content-type: ${PROBLEM_TYPE}`,
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ];
  return `${head.join('\r\n')}\r\n\r\n${body}`;
}
