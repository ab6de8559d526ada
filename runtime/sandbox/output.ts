/** Splits the framed output of pid 1 (`u8 stream | u24 length | bytes`) and keeps it until somebody listens. */
import type { Socket } from 'node:net';
import type { OutputListener } from './types.ts';

const KEEP_BYTES = 256 * 1024;

export interface Output {
  listen(listener: OutputListener): void;
  /** Resolves when the stream has ended and all of it was handed on. */
  readonly ended: Promise<void>;
}

export function readOutput(socket: Promise<Socket>): Output {
  let listener: OutputListener | null = null;
  let kept: [stream: 'stdout' | 'stderr', chunk: Buffer][] = [];
  let keptBytes = 0;
  const emit: OutputListener = (stream, chunk) => {
    if (listener !== null) return listener(stream, chunk);
    if (keptBytes + chunk.length > KEEP_BYTES) return; // nobody listens yet; the bound protects the worker
    kept.push([stream, chunk]);
    keptBytes += chunk.length;
  };
  const ended = socket.then((open) => drain(open, emit)).catch(() => {});
  return {
    listen(next) {
      listener = next;
      for (const [stream, chunk] of kept) next(stream, chunk);
      kept = [];
    },
    ended,
  };
}

function drain(socket: Socket, emit: OutputListener): Promise<void> {
  let pending: Buffer = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    while (pending.length >= 4) {
      const length = pending.readUIntBE(1, 3);
      if (pending.length < 4 + length) return;
      emit(pending[0] === 2 ? 'stderr' : 'stdout', pending.subarray(4, 4 + length));
      pending = pending.subarray(4 + length);
    }
  });
  socket.resume();
  socket.once('end', () => socket.end());
  return new Promise((resolve) => socket.once('close', () => resolve()));
}
