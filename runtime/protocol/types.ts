/** What the host sees of a runtime. The wire is described in protocol.md. */
import type { Readable } from 'node:stream';

/** What a call needs of an AbortSignal, which is one. */
export interface CancelSignal {
  readonly aborted: boolean;
  addEventListener(type: 'abort', listener: () => void, options?: { once?: boolean }): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

/** Who answered `READY`: `node`, `python`, `http`, and its version text. */
export interface ReadyInfo {
  runtime: string;
  runtimeVersion: string;
}

export interface InitSettings {
  functionName: string;
  version: number;
  /** Where the code is, as the runtime sees it. */
  codePath: string;
  /** `file.export`; empty for the http runtime. */
  handler: string;
  /** argv of the http runtime; empty otherwise. */
  command: string[];
  env: Record<string, string>;
  /** That the sandbox may use: what a runtime may size its heap by. */
  memoryMb?: number;
  maxResultBytes: number;
  maxLogLineBytes: number;
}

/**
 * `connection_closed` is made by the host when the socket closed under the call: the
 * runtime is gone, and only the worker can know why (crash, memory, time-out).
 * `protocol_error` means that the runtime broke the protocol; its sandbox has to go.
 */
export type CallErrorCode =
  | 'function_error'
  | 'result_not_serialisable'
  | 'result_too_large'
  | 'protocol_error'
  | 'connection_closed';

export type InitErrorCode = 'handler_not_found' | 'function_init_failed' | 'protocol_error' | 'connection_closed';

/** A guest failure, as a value. `errorType` and `stack` are the guest's own words. */
export interface RuntimeFailure<Code extends string = CallErrorCode> {
  kind: 'error';
  code: Code;
  message: string;
  errorType?: string;
  stack?: string;
}

export type InitResult = { kind: 'ok'; codeCache?: CodeCacheUse } | RuntimeFailure<InitErrorCode>;

/** Files whose code, compiled at build, was there while the handler was loaded. Refused ones were compiled again. */
export interface CodeCacheUse {
  used: number;
  refused: number;
}

export type RuntimeCallHead = { invocationId: string; deadlineMs: number; attempt: number } & (
  | { kind: 'event'; traceparent?: string; tracestate?: string }
  | { kind: 'http'; method: string; path: string; query: string; headers: [name: string, value: string][] }
);

export type RuntimeResultHead =
  | { kind: 'value'; contentType: string }
  | { kind: 'http'; status: number; headers: [name: string, value: string][] };

/** The body is the caller's: read it to its end, destroy it, or take it whole (`takeWhole`), else the call stays open. */
export type RuntimeResult = (RuntimeResultHead & { body: Readable }) | RuntimeFailure;

export type RuntimeEnd = { kind: 'ok'; bytes: number } | RuntimeFailure;

export interface RuntimeCall {
  readonly number: number;
  /** The answer's head, or the failure that came instead of it. Never rejects. */
  readonly head: Promise<RuntimeResult>;
  /** When the runtime is done with the call (its last frame), or the connection is gone. Never rejects. */
  readonly ended: Promise<RuntimeEnd>;
}

export interface RuntimeOptions {
  /** One line of output. `call` is 0 outside any call. Must not throw. */
  onLog: (call: number, invocationId: string | undefined, stream: 'stdout' | 'stderr', text: string) => void;
  /** Once, after every call in flight was ended. Must not throw. */
  onClose: (reason: 'closed' | 'protocol_error', message: string) => void;
  /** Bytes of a result that are read ahead of its consumer. @default 65536 */
  highWaterMark?: number;
}

export interface RuntimeConnection {
  /** Rejects with a `RuntimeGoneError` when the connection ends before `READY`. */
  readonly ready: Promise<ReadyInfo>;
  readonly inFlight: number;
  readonly closed: boolean;
  /** Once, after `ready`. Never rejects: a runtime that goes away is `connection_closed`. */
  init(settings: InitSettings): Promise<InitResult>;
  /**
   * Starts a call. Aborting `signal` sends CANCEL: the result body is destroyed and what
   * the runtime still answers is dropped, but `ended` waits for that answer. A `Readable`
   * body is read only as the runtime consumes it; when the call ends first, the rest is
   * left unread for its owner. A body that fails before its end cancels the call.
   * @throws RangeError when the head is over 1 MiB
   */
  call(head: RuntimeCallHead, body: Buffer | Readable | null, signal: CancelSignal): RuntimeCall;
  /** Asks the runtime to finish its calls and to exit. */
  shutdown(): void;
  /** Closes the socket at once; calls in flight end with `connection_closed`. Idempotent. */
  destroy(): void;
}

export class RuntimeGoneError extends Error {
  override readonly name = 'RuntimeGoneError';
  readonly reason: 'closed' | 'protocol_error';
  constructor(reason: 'closed' | 'protocol_error', message: string) {
    super(message);
    this.reason = reason;
  }
}
