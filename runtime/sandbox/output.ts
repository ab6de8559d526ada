/**
 * Splits the framed output of pid 1 (`u8 stream | u24 length | bytes`) and hands it out,
 * one chunk after the other. What is not taken stays in the connection, so a slow
 * listener (or none yet) holds the program back.
 */
import type { Socket } from 'node:net';
import type { OutputListener } from './types.ts';

const KEEP_BYTES = 256 * 1024;
/** Output that nobody has asked for by then, after its program has ended, is thrown away. */
const UNHEARD_MS = 1_000;

export interface Output {
  listen(listener: OutputListener): void;
  /** The program has ended: output that nobody listens to must not keep the end back. */
  programEnded(): void;
  /** Resolves when the stream has ended and all of it was handed on. Never rejects. */
  readonly ended: Promise<void>;
}

type Chunk = readonly [stream: 'stdout' | 'stderr', bytes: Buffer];

export function readOutput(socket: Promise<Socket>): Output {
  let listener: OutputListener | null = null;
  let onListener: () => void = () => {};
  const listening = new Promise<void>((resolve) => {
    onListener = resolve;
  });
  const listen = (next: OutputListener) => {
    listener = next;
    onListener();
  };
  const give = async ([stream, bytes]: Chunk) => {
    await listening;
    await listener?.(stream, bytes);
  };
  // A listener that failed gets nothing more; its program goes on.
  const deafen = () => listen(() => {});
  const ended = socket.then((open) => drain(open, give, deafen)).catch(() => {});
  return {
    listen,
    programEnded() {
      const timer = setTimeout(() => listener ?? deafen(), UNHEARD_MS);
      ended.then(() => clearTimeout(timer));
    },
    ended,
  };
}

function drain(socket: Socket, give: (chunk: Chunk) => Promise<void>, deafen: () => void): Promise<void> {
  const split = splitFrames();
  let waiting = 0;
  let given: Promise<void> = Promise.resolve();
  socket.on('data', (data: Buffer) => {
    for (const chunk of split(data)) {
      const size = chunk[1].length;
      waiting += size;
      if (waiting > KEEP_BYTES) socket.pause();
      given = given
        .then(() => give(chunk))
        .catch(deafen)
        .then(() => {
          waiting -= size;
          if (waiting <= KEEP_BYTES) socket.resume();
        });
    }
  });
  socket.resume();
  socket.once('end', () => socket.end());
  return new Promise<void>((resolve) => socket.once('close', () => resolve())).then(() => given);
}

function splitFrames(): (data: Buffer) => Chunk[] {
  let pending: Buffer = Buffer.alloc(0);
  return (data) => {
    const chunks: Chunk[] = [];
    pending = pending.length === 0 ? data : Buffer.concat([pending, data]);
    while (pending.length >= 4) {
      const length = pending.readUIntBE(1, 3);
      if (pending.length < 4 + length) break;
      chunks.push([pending[0] === 2 ? 'stderr' : 'stdout', pending.subarray(4, 4 + length)]);
      pending = pending.subarray(4 + length);
    }
    return chunks;
  };
}
