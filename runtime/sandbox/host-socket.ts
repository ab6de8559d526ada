/**
 * The unix socket on which the engine delivers streams: control sockets, output,
 * tar data, egress connections. Every connection starts with one line that says
 * what it is: `wafer1 <token>` (someone here waits for it) or `wafer1 egress ...`.
 */
import { randomBytes } from 'node:crypto';
import { chmod, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';

const HELLO_BYTES = 256;
const HELLO_MS = 10_000;

export interface HostSocket {
  readonly path: string;
  /** A fresh token and the connection that will come with it. `cancel` when it will not. */
  expect(): { token: string; socket: Promise<Socket>; cancel: (reason: Error) => void };
  close(): Promise<void>;
}

export async function openHostSocket(
  path: string,
  onEgress: (words: string[], socket: Socket) => void,
): Promise<HostSocket> {
  const waiting = new Map<string, (socket: Socket) => void>();
  const open = new Set<Socket>();
  const route = (line: string, socket: Socket) => {
    const [magic, token, ...words] = line.split(' ');
    if (magic !== 'wafer1' || token === undefined) return void socket.destroy();
    if (token === 'egress') return onEgress(words, socket);
    const take = waiting.get(token);
    if (take === undefined) return void socket.destroy();
    waiting.delete(token);
    take(socket);
  };
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    readHello(socket, route);
  });
  await listen(server, path);
  return {
    path,
    expect() {
      const token = randomBytes(16).toString('hex');
      let cancel: (reason: Error) => void = () => {};
      const socket = new Promise<Socket>((resolve, reject) => {
        waiting.set(token, resolve);
        cancel = (reason) => {
          waiting.delete(token);
          reject(reason);
        };
      });
      socket.catch(() => {}); // a cancelled wait that nobody took is not an unhandled rejection
      return { token, socket, cancel };
    },
    async close() {
      for (const socket of open) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** The socket directory is 0700; the mode of the socket itself is a second fence. */
async function listen(server: Server, path: string): Promise<void> {
  await rm(path, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => resolve());
  });
  await chmod(path, 0o600);
}

/** Reads up to the first newline and puts back what follows it. The socket stays paused for its new owner. */
function readHello(socket: Socket, route: (line: string, socket: Socket) => void): void {
  let head = Buffer.alloc(0);
  const timer = setTimeout(() => socket.destroy(), HELLO_MS).unref();
  const onError = () => socket.destroy();
  const onReadable = () => {
    const chunk: Buffer | null = socket.read();
    if (chunk === null) return;
    head = Buffer.concat([head, chunk]);
    const newline = head.indexOf(10);
    if (newline < 0 && head.length <= HELLO_BYTES) return;
    clearTimeout(timer);
    socket.off('readable', onReadable);
    if (newline < 0) return void socket.destroy();
    if (newline + 1 < head.length) socket.unshift(head.subarray(newline + 1));
    socket.off('error', onError);
    socket.on('error', () => {}); // owners watch 'close'; an unwatched 'error' would end the process
    route(head.toString('latin1', 0, newline), socket);
  };
  socket.on('error', onError);
  socket.on('readable', onReadable);
  socket.once('close', () => clearTimeout(timer));
}
