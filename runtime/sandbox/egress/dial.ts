/**
 * A connection to the first of several checked addresses that answers: the next one
 * is tried when the last failed or has not answered for a moment. Only the given
 * addresses are ever connected to; there is no second look-up.
 */
import { isIP, connect as netConnect, type Socket } from 'node:net';

/** A connecting socket that keeps half-closed connections (`allowHalfOpen`). */
export type Connect = (address: string, port: number) => Socket;

export const DIAL_TIMEOUT_MS = 10_000;
const NEXT_TRY_MS = 250;
const MAX_TRIES = 6;

export const connectDirect: Connect = (address, port) =>
  netConnect({ host: address, port, family: isIP(address), allowHalfOpen: true, noDelay: true });

export interface Dialed {
  socket: Socket;
  address: string;
}

/** @throws the last failure, or an `Error` when time is up or `signal` aborts. No socket is left then. */
export function dial(addresses: string[], port: number, connect: Connect, signal: AbortSignal): Promise<Dialed> {
  return new Promise((resolve, reject) => {
    const queue = addresses.slice(0, MAX_TRIES);
    const trying = new Set<Socket>();
    let timer: NodeJS.Timeout | undefined;
    const settle = (finish: () => void) => {
      clearTimeout(timer);
      clearTimeout(deadline);
      signal.removeEventListener('abort', onAbort);
      finish();
      for (const socket of trying) socket.destroy();
      trying.clear();
    };
    const fail = (error: Error) => settle(() => reject(error));
    const onAbort = () => fail(new Error('the sandbox is gone'));
    const deadline = setTimeout(() => fail(new Error('the connection timed out')), DIAL_TIMEOUT_MS);
    const next = (error: Error) => {
      clearTimeout(timer);
      const address = queue.shift();
      if (address === undefined) return trying.size === 0 ? fail(error) : undefined;
      const socket = connect(address, port);
      trying.add(socket);
      socket.once('error', (failure) => trying.delete(socket) && next(failure));
      socket.once('connect', () => {
        if (!trying.delete(socket)) return void socket.destroy();
        settle(() => resolve({ socket, address }));
      });
      timer = setTimeout(() => next(error), NEXT_TRY_MS);
    };
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    next(new Error('the name has no address'));
  });
}
