/** Sends a request body under the runtime's window. Reads a stream only as far as the window is open. */
import type { Readable } from 'node:stream';
import { encodeFrame, LIMITS, TO_RUNTIME } from './frames.ts';

export interface RequestBodyOptions {
  call: number;
  write: (bytes: Buffer) => void;
  /** The source failed, or was destroyed before its end. Must not throw. */
  onBroken: () => void;
}

export class RequestBody {
  readonly #call: number;
  readonly #write: (bytes: Buffer) => void;
  readonly #onBroken: () => void;
  #window: number = LIMITS.windowBytes;
  /** Bytes that the runtime has not acknowledged; credit for more than that is a lie. */
  #unacknowledged = 0;
  #rest: Buffer | null = null;
  #source: Readable | null = null;
  #sourceEnded = false;
  #done = false;

  constructor(options: RequestBodyOptions) {
    this.#call = options.call;
    this.#write = options.write;
    this.#onBroken = options.onBroken;
  }

  /** Writes `head` (the CALL frame) and as much of the body as the window lets through. */
  start(head: Buffer, body: Buffer | Readable | null): void {
    if (body === null || Buffer.isBuffer(body)) {
      this.#startBuffer(head, body);
      return;
    }
    this.#write(head);
    this.#source = body;
    body.on('readable', this.#pump);
    body.on('end', this.#onEnd);
    body.on('error', this.#onClose);
    body.on('close', this.#onClose);
    if (body.readableEnded) this.#onEnd();
    else if (body.destroyed) this.#onClose();
    else this.#pump();
  }

  /** @returns what is wrong, or null */
  credit(bytes: number): string | null {
    if (bytes > this.#unacknowledged)
      return `CREDIT of ${bytes} bytes, but only ${this.#unacknowledged} are unacknowledged`;
    this.#unacknowledged -= bytes;
    this.#window += bytes;
    this.#pump();
    return null;
  }

  /** Sends no more. The rest of the source stays unread for its owner. */
  stop(): void {
    this.#done = true;
    this.#rest = null;
    const source = this.#source;
    if (source === null) return;
    source.off('readable', this.#pump);
    source.off('end', this.#onEnd);
    source.off('close', this.#onClose);
    // The error listener stays: an owner that destroys the rest with an error must not crash the host.
    this.#source = null;
  }

  /** One write, hence one system call, for the common small body. */
  #startBuffer(head: Buffer, body: Buffer | null): void {
    if (body !== null && body.length > LIMITS.bodyFrameBytes) {
      this.#write(head);
      this.#rest = body;
      this.#sourceEnded = true;
      this.#pump();
      return;
    }
    const frames = [head];
    if (body !== null && body.length > 0) {
      frames.push(encodeFrame(TO_RUNTIME.body, this.#call, body));
      this.#window -= body.length;
      this.#unacknowledged += body.length;
    }
    frames.push(encodeFrame(TO_RUNTIME.end, this.#call));
    this.#done = true;
    this.#write(Buffer.concat(frames));
  }

  readonly #pump = (): void => {
    while (!this.#done && this.#window > 0) {
      const chunk = this.#rest ?? this.#readSource();
      if (chunk === null) break;
      const size = Math.min(chunk.length, this.#window, LIMITS.bodyFrameBytes);
      this.#rest = size < chunk.length ? chunk.subarray(size) : null;
      if (size === 0) continue;
      this.#window -= size;
      this.#unacknowledged += size;
      this.#write(encodeFrame(TO_RUNTIME.body, this.#call, chunk.subarray(0, size)));
    }
    if (this.#done || !this.#sourceEnded || this.#rest !== null) return;
    this.stop();
    this.#write(encodeFrame(TO_RUNTIME.end, this.#call));
  };

  #readSource(): Buffer | null {
    const chunk: unknown = this.#source?.read() ?? null;
    if (chunk === null) return null;
    return Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk as string | Uint8Array);
  }

  readonly #onEnd = (): void => {
    this.#sourceEnded = true;
    this.#pump();
  };

  readonly #onClose = (): void => {
    if (this.#sourceEnded || this.#done) return;
    this.stop();
    this.#onBroken();
  };
}
