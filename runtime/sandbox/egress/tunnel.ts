/**
 * Bytes both ways between a sandbox's connection and the real one, with
 * back-pressure and half-close.
 *
 * An orderly end is passed on as a half-close, and the sandbox's connection stays
 * open until the sandbox has ended too. A failure of either side destroys both; the
 * relay makes a reset of that. So a cut transfer never looks complete inside.
 */
import type { Duplex } from 'node:stream';

export interface TunnelEnd {
  bytesUp: number;
  bytesDown: number;
  /** Absent when both sides ended in order. */
  error?: Error;
}

/** A sandbox that does not end after its peer did is cut off after this long. */
const LINGER_MS = 60_000;

/**
 * Owns both streams. Settles when both are closed; never rejects. `count` is told of bytes
 * as they come, either way; a reason that it gives ends both.
 */
export function tunnel(
  inside: Duplex,
  outside: Duplex,
  count: (bytes: number) => string | null = () => null,
): Promise<TunnelEnd> {
  const end: TunnelEnd = { bytesUp: 0, bytesDown: 0 };
  let linger: NodeJS.Timeout | undefined;
  const stop = (error?: Error) => {
    if (error !== undefined) end.error ??= error;
    inside.destroy();
    outside.destroy();
  };
  inside.on('error', stop);
  outside.on('error', stop);
  const take = (bytes: number) => {
    const reason = count(bytes);
    if (reason !== null) stop(new Error(reason));
  };
  inside.on('data', ({ length }: Buffer) => {
    end.bytesUp += length;
    take(length);
  });
  outside.on('data', ({ length }: Buffer) => {
    end.bytesDown += length;
    take(length);
  });
  // From here on only the sandbox's own end is missing; everything has been handed to it.
  inside.once('finish', () => {
    linger = setTimeout(() => stop(), LINGER_MS);
  });
  const closed = Promise.all([inside, outside].map((stream) => onceClosed(stream, () => isOrderly(stream) || stop())));
  inside.pipe(outside);
  outside.pipe(inside);
  return closed.then(() => {
    clearTimeout(linger);
    return end;
  });
}

/** An orderly closed stream leaves the other one to flush what it still holds. */
const isOrderly = (stream: Duplex): boolean => stream.readableEnded && stream.writableFinished;

function onceClosed(stream: Duplex, then: () => void): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      then();
      resolve();
    };
    if (stream.closed) done();
    else stream.once('close', done);
  });
}
