/** One call on a connection: its two bodies, its cancellation, and the order of the runtime's frames. */
import type { Readable } from 'node:stream';
import { encodeCredit, encodeFrame, encodeJson, LIMITS, TO_HOST, TO_RUNTIME } from './frames.ts';
import { parseCallError, parseResult } from './payloads.ts';
import { RequestBody } from './request-body.ts';
import { createCredit, ResultBody } from './result-body.ts';
import type { CancelSignal, RuntimeCall, RuntimeCallHead, RuntimeEnd, RuntimeFailure, RuntimeResult } from './types.ts';

export interface HostCallOptions {
  number: number;
  invocationId: string;
  highWaterMark: number;
  /** A `value` over this is a broken runtime: each of them checks it before it sends. */
  maxResultBytes: number;
  write: (bytes: Buffer) => void;
  onEnded: (call: HostCall) => void;
}

export class HostCall implements RuntimeCall {
  readonly number: number;
  readonly invocationId: string;
  readonly head: Promise<RuntimeResult>;
  readonly ended: Promise<RuntimeEnd>;
  readonly #options: HostCallOptions;
  readonly #request: RequestBody;
  readonly #credit: ReturnType<typeof createCredit>;
  #resolveHead: (result: RuntimeResult) => void = () => {};
  #resolveEnded: (end: RuntimeEnd) => void = () => {};
  #signal: CancelSignal | null = null;
  #body: ResultBody | null = null;
  #hasHead = false;
  #limit = Number.POSITIVE_INFINITY;
  #received = 0;
  #unacknowledged = 0;
  #cancelled = false;
  #over = false;

  constructor(options: HostCallOptions) {
    this.number = options.number;
    this.invocationId = options.invocationId;
    this.#options = options;
    this.head = new Promise((resolve) => {
      this.#resolveHead = resolve;
    });
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
    this.#request = new RequestBody({
      call: options.number,
      write: options.write,
      onBroken: () => this.#cancel(new Error('The request body broke off.')),
    });
    this.#credit = createCredit((bytes) => {
      if (this.#over) return;
      this.#unacknowledged -= bytes;
      options.write(encodeCredit(TO_RUNTIME.credit, options.number, bytes));
    });
  }

  start(head: RuntimeCallHead, body: Buffer | Readable | null, signal: CancelSignal): void {
    this.#request.start(encodeJson(TO_RUNTIME.call, this.number, head), body);
    this.#signal = signal;
    if (signal.aborted) this.#onAbort();
    else signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  /** Takes a frame of this call; returns what is wrong with it, or null. */
  frame(type: number, payload: Buffer): string | null {
    if (type === TO_HOST.credit) return this.#request.credit(payload.readUInt32BE(0));
    if (type === TO_HOST.result) return this.#onResult(payload);
    if (type === TO_HOST.body) return this.#onBody(payload);
    if (type === TO_HOST.end) return this.#onEnd();
    return this.#onError(payload);
  }

  /** Ends the call from the host's side: the connection is gone, or the runtime broke the protocol. */
  fail(failure: RuntimeFailure): void {
    if (this.#over) return;
    this.#settle(failure);
    this.#body?.cut(new Error(failure.message));
    if (!this.#hasHead) this.#resolveHead(failure);
  }

  #onResult(payload: Buffer): string | null {
    if (this.#hasHead) return `call ${this.number} has a second RESULT`;
    const result = parseResult(payload);
    if (typeof result === 'string') return result;
    this.#hasHead = true;
    if (result.kind === 'value') this.#limit = this.#options.maxResultBytes;
    const body = new ResultBody({
      highWaterMark: this.#options.highWaterMark,
      onConsumed: (bytes) => this.#credit.add(bytes),
      onAbandoned: () => this.#cancel(null),
    });
    this.#body = body;
    this.#resolveHead({ ...result, body });
    if (this.#cancelled) body.cut(new Error('The call was cancelled.'));
    return null;
  }

  #onBody(payload: Buffer): string | null {
    if (this.#body === null) return `call ${this.number} has a BODY before its RESULT`;
    this.#received += payload.length;
    this.#unacknowledged += payload.length;
    if (this.#unacknowledged > LIMITS.windowBytes) {
      return `call ${this.number} has ${this.#unacknowledged} bytes in a window of ${LIMITS.windowBytes}`;
    }
    if (this.#received > this.#limit) return `call ${this.number} sends a value of more than ${this.#limit} bytes`;
    if (this.#body.destroyed) this.#credit.add(payload.length);
    else this.#body.add(payload);
    return null;
  }

  #onEnd(): string | null {
    if (this.#body === null) return `call ${this.number} has an END before its RESULT`;
    this.#settle({ kind: 'ok', bytes: this.#received });
    this.#body.finish();
    return null;
  }

  #onError(payload: Buffer): string | null {
    const failure = parseCallError(payload);
    if (typeof failure === 'string') return failure;
    this.fail(failure);
    return null;
  }

  #settle(end: RuntimeEnd): void {
    this.#over = true;
    this.#request.stop();
    this.#signal?.removeEventListener('abort', this.#onAbort);
    this.#resolveEnded(end);
    this.#options.onEnded(this);
  }

  readonly #onAbort = (): void => this.#cancel(new Error('The call was cancelled.'));

  /** Tells the runtime once; from here on its result bytes are acknowledged and dropped. */
  #cancel(error: Error | null): void {
    if (this.#over || this.#cancelled) return;
    this.#cancelled = true;
    this.#request.stop();
    this.#options.write(encodeFrame(TO_RUNTIME.cancel, this.number));
    if (error !== null) this.#body?.cut(error);
  }
}
