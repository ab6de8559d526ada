/** The app as a process sees it: listen, close. */
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { isErrno, WaferError } from '../core/errors.ts';

export interface ListenOptions {
  host: string;
  /** 0 takes a free one. */
  port: number;
}

export interface RunningServer {
  url: string;
  port: number;
  /** Lets calls in flight finish for at most `graceMs`, then cuts them. */
  close(graceMs: number): Promise<void>;
}

/** @throws WaferError `port_in_use | usage` */
export async function startServer(app: FastifyInstance, { host, port }: ListenOptions): Promise<RunningServer> {
  try {
    await quietly(app, () => app.listen({ host, port }));
  } catch (error) {
    await app.close();
    throw listenError(error, { host, port });
  }
  const hangUp = hangUpAfterAnswers(app.server);
  const address = app.server.address() as AddressInfo;
  const shownHost = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return {
    url: `http://${shownHost}:${address.port}`,
    port: address.port,
    close: (graceMs) => {
      hangUp();
      return closeServer(app, graceMs);
    },
  };
}

/** fastify logs every address it listens on; who started the platform says it once, for people. */
async function quietly(app: FastifyInstance, listen: () => Promise<unknown>): Promise<void> {
  const { level } = app.log;
  app.log.level = 'warn';
  try {
    await listen();
  } finally {
    app.log.level = level;
  }
}

/**
 * Node closes connections that idle at the time of a close, but keeps one whose answer ends later
 * until the client or a time-out ends it. @returns call it when closing: then such a connection
 * ends with its answer
 */
function hangUpAfterAnswers(server: Server): () => void {
  let closing = false;
  server.on('request', ({ socket }, response) => {
    response.once('finish', () => closing && socket.end());
  });
  return () => {
    closing = true;
  };
}

async function closeServer(app: FastifyInstance, graceMs: number): Promise<void> {
  const cut = setTimeout(() => app.server.closeAllConnections(), graceMs);
  try {
    await app.close();
  } finally {
    clearTimeout(cut);
  }
}

/** Also for a probe before the real listen. What is not about the address stays as it is. */
export function listenError(cause: unknown, { host, port }: ListenOptions): unknown {
  if (isErrno(cause, 'EADDRINUSE')) {
    return new WaferError('port_in_use', `Port ${port} on ${host} is in use by another program.`, {
      cause,
      hint: 'Stop that program, or set WAFER_PORT to another port (0 takes a free one).',
      details: { host, port },
    });
  }
  if (isErrno(cause, 'EACCES')) {
    return new WaferError('usage', `This user may not listen on port ${port}.`, {
      cause,
      hint: 'Set WAFER_PORT to a port above 1023.',
    });
  }
  if (isErrno(cause, 'EADDRNOTAVAIL', 'ENOTFOUND', 'EAI_AGAIN')) {
    return new WaferError('usage', `${host} is not an address of this machine.`, {
      cause,
      hint: 'Set WAFER_HOST to 127.0.0.1, 0.0.0.0 or an address of this machine.',
    });
  }
  return cause;
}
