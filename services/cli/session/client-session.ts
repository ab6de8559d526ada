/**
 * The caller's end of `wafer.session.v1`: one WebSocket, binary messages whose first byte is
 * the channel. `ws` rather than undici's WebSocket: that one can not hold a fast sender back,
 * hides the problem document of a refused upgrade, and takes six times as long to load.
 *
 * Order: nothing that the program wrote is lost or overtaken by its end. Chunks go to the
 * listener one after the other; `ended` settles after the last one was taken.
 */
import type { IncomingMessage } from 'node:http';
import { Writable } from 'node:stream';
import WebSocket, { type RawData } from 'ws';
import type { ExecConfig, OutputStream, TerminalSize } from '../../core/containers/types.ts';
import { type Problem, WaferError } from '../../core/errors.ts';
import { type Connection, parse, problemError, readProblem } from '../client.ts';
import { notReachable } from '../transport.ts';

export const SESSION_PROTOCOL = 'wafer.session.v1';
export const CHANNEL = { stdin: 0, stdout: 1, stderr: 2, end: 3, resize: 4 } as const;

/** Waiting output beyond this holds the sender back. */
const HIGH_WATER = 256 * 1024;

type OutputListener = (stream: OutputStream, chunk: Buffer) => void | Promise<void>;

export interface ClientSession {
  /** Ending it closes the program's stdin. What is written after the program's end goes nowhere. */
  readonly stdin: Writable;
  /** Set once, at once. A listener that returns a promise holds the program back. */
  onOutput(listener: OutputListener): void;
  resize(size: TerminalSize): void;
  /** Exit code of the program. @throws WaferError the server's problem; `not_reachable` when the connection is lost */
  readonly ended: Promise<number>;
  /** The program goes on; `ended` never settles then. */
  leave(): void;
}

const frame = (channel: number, payload: Uint8Array | string) =>
  Buffer.concat([Buffer.from([channel]), typeof payload === 'string' ? Buffer.from(payload) : payload]);

const bytesOf = (data: RawData): Buffer => {
  if (Array.isArray(data)) return Buffer.concat(data);
  return Buffer.isBuffer(data) ? data : Buffer.from(data);
};

/** `http://host` is `ws://host`. */
const socketUrl = (origin: string, path: string) => origin.replace(/^http/, 'ws') + path;

/** Resolves when the server has agreed. @throws WaferError its problem, or `not_reachable` */
function open(connection: Connection, path: string): Promise<WebSocket> {
  const socket = new WebSocket(socketUrl(connection.origin, path), SESSION_PROTOCOL, {
    headers: { ...connection.headers },
    perMessageDeflate: false,
    followRedirects: false,
  });
  return new Promise((resolve, reject) => {
    socket.once('open', () => {
      // Until somebody listens, nothing may be thrown away.
      socket.pause();
      socket.off('error', failed);
      resolve(socket);
    });
    const failed = (error: Error) => reject(notReachable(connection.origin, error));
    socket.on('error', failed);
    socket.once('unexpected-response', (_request, response: IncomingMessage) => {
      const reply = { status: response.statusCode ?? 0, headers: response.headers, body: response };
      readProblem(reply, connection)
        .then((problem) => reject(problemError(problem)), reject)
        .finally(() => socket.terminate());
    });
  });
}

function createStdin(socket: WebSocket): Writable {
  const send = (payload: Uint8Array, done: (error?: Error | null) => void) => {
    if (socket.readyState !== WebSocket.OPEN) return done();
    // A connection that breaks is told by `ended`, not by the pipe that feeds it.
    socket.send(frame(CHANNEL.stdin, payload), { binary: true }, () => done());
  };
  return new Writable({
    write: (chunk: Buffer, _encoding, done) => send(chunk, done),
    final: (done) => send(Buffer.alloc(0), done),
  });
}

type LastWord = { exitCode: number } | { problem: Problem };

/** Hands the chunks on in order, and says when all were taken. */
function createOutput(socket: WebSocket) {
  let listener: OutputListener | null = null;
  let chain = Promise.resolve();
  let waiting = 0;
  return {
    listen(given: OutputListener) {
      listener = given;
      socket.resume();
    },
    add(stream: OutputStream, chunk: Buffer) {
      waiting += chunk.length;
      if (waiting > HIGH_WATER) socket.pause();
      chain = chain.then(async () => {
        try {
          await listener?.(stream, chunk);
        } finally {
          waiting -= chunk.length;
          if (waiting <= HIGH_WATER) socket.resume();
        }
      });
      // The end of the session tells the failure; until then it must not count as unhandled.
      chain.catch(() => {});
    },
    drained: () => chain,
  };
}

const lost = (origin: string, code: number, reason: string) =>
  new WaferError(
    'not_reachable',
    `The connection to ${origin} was lost${reason === '' ? '' : ` (${reason})`}, code ${code}.`,
    { hint: 'The program goes on inside. "wafer ps" lists containers, "wafer attach NAME" goes back to one.' },
  );

/** `exec`: the first message says what to run. */
export async function openSession(connection: Connection, path: string, exec?: ExecConfig): Promise<ClientSession> {
  const socket = await open(connection, path);
  const output = createOutput(socket);
  const stdin = createStdin(socket);
  let isLeft = false;
  const ended = new Promise<number>((resolve, reject) => {
    const settle = (word: LastWord) => {
      const tell = () => ('problem' in word ? reject(problemError(word.problem)) : resolve(word.exitCode));
      output.drained().then(tell, reject);
      socket.close(1000);
    };
    socket.on('message', (data) => {
      const bytes = bytesOf(data);
      const payload = bytes.subarray(1);
      if (bytes[0] === CHANNEL.stdout) output.add('stdout', payload);
      else if (bytes[0] === CHANNEL.stderr) output.add('stderr', payload);
      else if (bytes[0] === CHANNEL.end) settle(parse(payload.toString(), connection.origin) as LastWord);
    });
    // 'close' follows and tells.
    socket.on('error', () => {});
    socket.on('close', (code, reason) => {
      if (isLeft) return;
      // After the last word this settles nothing.
      output.drained().then(() => reject(lost(connection.origin, code, reason.toString())), reject);
    });
  });
  ended.catch(() => {});
  if (exec !== undefined) socket.send(JSON.stringify(exec));
  return {
    stdin,
    ended,
    onOutput: output.listen,
    resize(size) {
      if (socket.readyState === WebSocket.OPEN)
        socket.send(frame(CHANNEL.resize, JSON.stringify(size)), { binary: true });
    },
    leave() {
      isLeft = true;
      socket.close(1000);
    },
  };
}
