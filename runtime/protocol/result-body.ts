/**
 * The body of a result as a Readable, under the protocol's flow control: a byte is
 * consumed when it leaves the window for the stream's own buffer, so one result holds
 * at most the window and `highWaterMark` in memory, however slow its reader is.
 */
import { Readable } from 'node:stream';
import { LIMITS } from './frames.ts';

/** Chunks in the window before they are joined: stops a body of one-byte frames from costing an object a byte. */
const JOIN_CHUNKS = 256;

const EMPTY = Buffer.alloc(0);

export interface ResultBodyOptions {
  highWaterMark: number;
  /** Bytes were consumed. Must not throw. */
  onConsumed: (bytes: number) => void;
  /** The reader destroyed the stream before its end. Must not throw. */
  onAbandoned: () => void;
}

export class ResultBody extends Readable {
  readonly #onConsumed: (bytes: number) => void;
  readonly #onAbandoned: () => void;
  #queue: Buffer[] = [];
  #wanted = false;
  #hasReader = false;
  #settled = false;

  constructor(options: ResultBodyOptions) {
    super({ highWaterMark: options.highWaterMark });
    this.#onConsumed = options.onConsumed;
    this.#onAbandoned = options.onAbandoned;
    // A cut body must not take the host down when nobody has begun to read it.
    this.on('error', () => {});
  }

  add(chunk: Buffer): void {
    this.#queue.push(chunk);
    if (this.#queue.length > JOIN_CHUNKS) this.#queue = [Buffer.concat(this.#queue)];
    this.#flow();
  }

  /** All of it when it has come whole and nobody reads it yet; it must not be read as a stream after that. */
  takeWhole(): Buffer | null {
    if (!this.#settled || this.#hasReader || this.destroyed) return null;
    const [first, ...more] = this.#queue;
    this.#queue = [];
    if (first === undefined) return EMPTY;
    return more.length === 0 ? first : Buffer.concat([first, ...more]);
  }

  finish(): void {
    this.#settled = true;
    this.#flow();
  }

  /** Ends the stream with an error; what is still in the window is dropped. */
  cut(error: Error): void {
    this.#settled = true;
    this.destroy(error);
  }

  override _read(): void {
    this.#hasReader = true;
    this.#wanted = true;
    this.#flow();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    // What waits in the window will never be read: acknowledge it, or the sender waits for ever.
    const dropped = this.#queue.reduce((bytes, chunk) => bytes + chunk.length, 0);
    this.#queue = [];
    if (dropped > 0) this.#onConsumed(dropped);
    if (!this.#settled) this.#onAbandoned();
    callback(error);
  }

  #flow(): void {
    while (this.#wanted && !this.destroyed) {
      const chunk = this.#queue.shift();
      if (chunk === undefined) break;
      this.#wanted = this.push(chunk);
      this.#onConsumed(chunk.length);
    }
    if (this.#settled && this.#queue.length === 0 && !this.destroyed && !this.readableEnded && this.#wanted) {
      this.#wanted = false;
      this.push(null);
    }
  }
}

/** Null for a body that is not all there yet, or is no result's. */
export const takeWhole = (body: Readable): Buffer | null => (body instanceof ResultBody ? body.takeWhole() : null);

/** Counts what was consumed and says when a CREDIT is due: in pieces of at least 64 KiB. */
export function createCredit(send: (bytes: number) => void) {
  let owed = 0;
  return {
    add(bytes: number): void {
      owed += bytes;
      if (owed < LIMITS.creditBytes) return;
      const due = owed;
      owed = 0;
      send(due);
    },
  };
}
