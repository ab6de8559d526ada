import { Readable } from 'node:stream';
import yauzl from 'yauzl';
import type { Spool } from './spool.ts';

/**
 * Gives yauzl a spool instead of a file descriptor. Offsets in a zip are the sender's
 * words: read by descriptor, one beyond 2^53 makes `fs.read` throw inside a callback,
 * where nobody can catch it, and ends the process.
 */
export class SpoolReader extends yauzl.RandomAccessReader {
  readonly #spool: Spool;

  constructor(spool: Spool) {
    super();
    this.#spool = spool;
  }

  #isInside(start: number, end: number): boolean {
    return (
      Number.isSafeInteger(start) && Number.isSafeInteger(end) && start >= 0 && start <= end && end <= this.#spool.size
    );
  }

  override _readStreamForRange(start: number, end: number): Readable {
    if (this.#isInside(start, end)) return Readable.from(this.#spool.read(start, end - start), { objectMode: false });
    return new Readable({
      read() {
        this.destroy(new Error('an offset points outside of the file'));
      },
    });
  }

  override read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
    callback: (error: Error | null) => void,
  ): void {
    if (!this.#isInside(position, position + length)) {
      setImmediate(callback, new Error('an offset points outside of the file'));
      return;
    }
    const fill = async () => {
      let at = offset;
      for await (const chunk of this.#spool.read(position, length)) at += chunk.copy(buffer, at);
    };
    fill().then(
      () => callback(null),
      (error: Error) => callback(error),
    );
  }
}
