/**
 * One session over one WebSocket. Both directions are held back by who is slower: the program
 * waits for a client that does not read, the client for a program that does not read. A client
 * that takes nothing for `readerStallMs`, or answers no ping, loses its session.
 */
import type { RawData, WebSocket } from 'ws';
import type { Session } from '../../core/containers/types.ts';
import { type Problem, toProblem, WaferError } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import { toWaferError } from '../http/problem.ts';
import type { ApiLimits } from '../limits.ts';
import { CHANNEL, frame, parseMessage } from './protocol.ts';

export interface SessionDeps {
  limits: ApiLimits;
  log: Log;
  /** Aborts when the server closes: the session ends then. */
  stopping: AbortSignal;
}

/** What the first message has to be before the session opens; without it the session opens at once. */
export type Opening =
  | { first: null; open: () => Promise<Session> }
  | { first: (message: Buffer, isBinary: boolean) => Promise<Session> };

const CLOSE = { done: 1000, leaving: 1001, clientFault: 1008, ourFault: 1011 } as const;
/** A client that does not answer the closing of its session is cut. */
const CLOSE_MS = 2_000;

export function serveSession(socket: WebSocket, opening: Opening, deps: SessionDeps): void {
  const { limits, log, stopping } = deps;
  const line = createLine(socket, limits);
  let session: Session | null = null;
  let isOver = false;

  const close = (last: object, code: number) => {
    if (isOver) return;
    isOver = true;
    void line.send(frame(CHANNEL.end, JSON.stringify(last)));
    socket.close(code);
    setTimeout(() => socket.terminate(), CLOSE_MS).unref();
  };
  const fail = (error: unknown) => {
    const problem = toProblem(toWaferError(error));
    const code = closeCode(problem);
    if (code === CLOSE.ourFault) log.error({ err: error }, 'a session failed');
    close({ problem }, code);
  };
  const begin = async (opened: Promise<Session>) => {
    session = await opened;
    if (isOver) return session.leave();
    session.stdin?.on('error', () => {}); // a program that closed its input
    session.onOutput((stream, chunk) => line.send(frame(CHANNEL[stream], chunk)));
    void session.ended.then((exitCode) => close({ exitCode }, CLOSE.done));
  };
  const take = async (message: Buffer, isBinary: boolean) => {
    if (isOver) return;
    if (session === null) {
      if (opening.first !== null) await begin(opening.first(message, isBinary));
      return;
    }
    await handOn(session, message, isBinary);
  };
  const inbox = createInbox(socket, limits, take, fail);
  if (opening.first === null) inbox.hold(() => begin(opening.open()));
  else line.expectFirst(() => fail(new WaferError('request_timeout', 'The first message did not come in time.')));

  const stop = () => fail(new WaferError('shutting_down', 'Wafer is stopping.'));
  stopping.addEventListener('abort', stop, { once: true });
  socket.on('message', (data, isBinary) => {
    line.heard();
    inbox.add(toBuffer(data), isBinary);
  });
  socket.once('close', () => {
    isOver = true;
    stopping.removeEventListener('abort', stop);
    session?.leave();
  });
}

function closeCode({ code, status }: Problem): number {
  if (code === 'shutting_down') return CLOSE.leaving;
  return status >= 500 ? CLOSE.ourFault : CLOSE.clientFault;
}

const toBuffer = (data: RawData): Buffer =>
  Buffer.isBuffer(data) ? data : Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data);

async function handOn(session: Session, message: Buffer, isBinary: boolean): Promise<void> {
  const parsed = parseMessage(message, isBinary);
  const { stdin } = session;
  if (parsed.type === 'resize') await session.resize(parsed.size);
  else if (stdin === null || !stdin.writable)
    return; // a program that reads nothing
  else if (parsed.type === 'end_of_stdin') stdin.end();
  else if (!stdin.write(parsed.bytes)) await drained(stdin);
}

function drained(stdin: NonNullable<Session['stdin']>): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      stdin.off('drain', done);
      stdin.off('close', done);
      resolve();
    };
    stdin.on('drain', done);
    stdin.on('close', done);
  });
}

/** Messages one after the other; the client is held back while too many wait. */
function createInbox(
  socket: WebSocket,
  { sessionBytes }: ApiLimits,
  take: (message: Buffer, isBinary: boolean) => Promise<void>,
  fail: (error: unknown) => void,
) {
  const waiting: (() => Promise<void>)[] = [];
  let bytes = 0;
  let isBusy = false;
  const work = async () => {
    if (isBusy) return;
    isBusy = true;
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) await next().catch(fail);
    isBusy = false;
  };
  return {
    /** What comes waits for it. */
    hold(first: () => Promise<void>) {
      waiting.push(first);
      void work();
    },
    add(message: Buffer, isBinary: boolean) {
      bytes += message.length;
      if (bytes > sessionBytes) socket.pause();
      waiting.push(async () => {
        try {
          await take(message, isBinary);
        } finally {
          bytes -= message.length;
          if (bytes <= sessionBytes && socket.isPaused) socket.resume();
        }
      });
      void work();
    },
  };
}

/** What goes out, and whether somebody is still there. Ends by itself with the socket. */
function createLine(socket: WebSocket, limits: ApiLimits) {
  let takenAt = performance.now();
  let isAlive = true;
  let pingedAt = performance.now();
  let first: NodeJS.Timeout | undefined;
  const watch = setInterval(() => {
    const now = performance.now();
    if (socket.bufferedAmount === 0) takenAt = now;
    if (now - takenAt >= limits.readerStallMs) return socket.terminate();
    // Who is held back can not be heard.
    if (socket.isPaused || now - pingedAt < limits.heartbeatMs) return;
    if (!isAlive) return socket.terminate();
    isAlive = false;
    pingedAt = now;
    socket.ping();
  }, limits.sweepMs).unref();
  const heard = () => {
    isAlive = true;
    clearTimeout(first);
  };
  socket.on('pong', heard);
  socket.once('close', () => {
    clearInterval(watch);
    clearTimeout(first);
  });
  return {
    heard,
    expectFirst: (onLate: () => void) => {
      first = setTimeout(onLate, limits.headersMs).unref();
    },
    /** A promise while too much waits for the client; it settles also when the client goes. */
    send(message: Buffer): void | Promise<void> {
      if (socket.readyState !== socket.OPEN) return;
      const isFull = socket.bufferedAmount + message.length > limits.sessionBytes;
      const sent = new Promise<void>((resolve) =>
        socket.send(message, () => {
          takenAt = performance.now();
          resolve();
        }),
      );
      if (isFull) return sent;
    },
  };
}
