/** What arrives is not HTTP, or not in time. There is no request yet, so the answer is written by hand. */
import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';
import { WaferError } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import { plainProblem } from './slow-clients.ts';

const KNOWN: Record<string, { status: number; error: () => WaferError }> = {
  ERR_HTTP_REQUEST_TIMEOUT: {
    status: 408,
    error: () => new WaferError('request_timeout', 'The request line and headers did not arrive in time.'),
  },
  HPE_HEADER_OVERFLOW: {
    status: 431,
    error: () => new WaferError('invalid_request', 'The request line and headers are too long.'),
  },
};

export function answerClientError(error: NodeJS.ErrnoException, socket: Socket, log: Log): void {
  // A reset by the client leaves nobody to answer.
  if (error.code === 'ECONNRESET' || socket.destroyed) return;
  log.debug({ code: error.code, from: socket.remoteAddress }, 'refused what is not a proper HTTP request');
  const known = KNOWN[error.code ?? ''];
  const invalid = () => new WaferError('invalid_request', 'This is not a proper HTTP/1.1 request.');
  const text = plainProblem((known?.error ?? invalid)(), known?.status ?? 400);
  if (socket.writable) socket.end(text, () => socket.destroy());
  else socket.destroy();
}

/** CONNECT never becomes a request in Node; without a listener the client would just see a reset. */
export function refuseConnect(server: Server): void {
  server.on('connect', (_request: IncomingMessage, socket: Socket) => {
    socket.on('error', () => socket.destroy());
    socket.end(plainProblem(new WaferError('method_not_allowed', 'CONNECT is not allowed: this is not a proxy.')));
  });
}
