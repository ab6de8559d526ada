/**
 * One call on its instance, from the grant to its outcome: the runtime's answer, the time
 * limit and a caller that leaves race, and the first decides. Whatever happens there is one
 * reply, one end and one release. It is on the way of every call: few promises, no
 * AbortController.
 */
import type { Readable } from 'node:stream';
import {
  type RuntimeCall,
  type RuntimeCallHead,
  type RuntimeEnd,
  type RuntimeResult,
  takeWhole,
} from '../../../runtime/sandbox/index.ts';
import { WaferError } from '../../core/errors.ts';
import type { FunctionVersion } from '../../core/functions/types.ts';
import { LightSignal } from '../../core/invocations/light-signal.ts';
import type { Call, CallEnd, CallReply, CallResult, Failure, Receipt, Used } from '../../core/invocations/types.ts';
import type { Instance } from '../instances/instance.ts';
import { maskFailure } from '../secrets/mask-failure.ts';

export interface RunParts {
  call: Call;
  /** Room in it was taken. */
  instance: Instance;
  /** As of now. */
  receipt: () => Receipt;
  /** Since the call began. */
  used: () => Used;
  /** Gives the room back; called once. */
  release: () => void;
}

/** Resolves when the head of the answer is there. @throws what `Instance.call` throws; the room was given back then */
export const runOnInstance = (parts: RunParts): Promise<CallReply> => new RunningCall(parts).reply;

/** How long a handler may take to obey its signal when nobody waits any more. */
const CANCEL_GRACE_MS = 1_000;

const cancelled = (): Failure => ({
  kind: 'cancelled',
  message: 'The caller went away before the function had answered.',
});

class RunningCall {
  readonly reply: Promise<CallReply>;
  readonly #parts: RunParts;
  /** Tells the runtime. */
  readonly #stop = new LightSignal();
  readonly #done: Promise<CallEnd>;
  #resolveReply: (reply: CallReply) => void = () => {};
  #resolveDone: (end: CallEnd) => void = () => {};
  #timer: NodeJS.Timeout | undefined;
  #graceTimer: NodeJS.Timeout | undefined;
  #isCancelled = false;
  /** The outcome is known, or what is needed to tell it. */
  #isDecided = false;
  #end: RuntimeEnd | undefined;
  /** Of an answer that is under way. */
  #body: Readable | undefined;

  constructor(parts: RunParts) {
    this.#parts = parts;
    this.reply = new Promise((resolve) => {
      this.#resolveReply = resolve;
    });
    this.#done = new Promise((resolve) => {
      this.#resolveDone = resolve;
    });
    const { call } = parts;
    const { timeoutMs } = call.version.config;
    call.signal.addEventListener('abort', this.#onGone, { once: true });
    this.#timer = setTimeout(this.#onLate, timeoutMs);
    if (call.signal.aborted) this.#stop.abort(cancelled());
    const running = this.#begin(Date.now() + timeoutMs);
    void running.head.then(this.#onHead);
    void running.ended.then(this.#onEnded);
    if (call.signal.aborted) this.#onGone();
  }

  /** A call that can not even begin gives its room back. */
  #begin(deadlineMs: number): RuntimeCall {
    const { call, instance, release } = this.#parts;
    try {
      return instance.call(callHead(call, deadlineMs), call.request.body, this.#stop);
    } catch (error) {
      this.#rest();
      release();
      throw error;
    }
  }

  readonly #onHead = (head: RuntimeResult): void => {
    if (head.kind === 'error') return; // its end says why
    const whole = takeWhole(head.body);
    if (whole === null) this.#body = head.body;
    this.#answer(whole === null ? head : { ...head, body: whole });
  };

  readonly #onEnded = (end: RuntimeEnd): void => {
    this.#end = end;
    if (this.#isDecided) return;
    this.#isDecided = true;
    if (this.#isCancelled) this.#settle(cancelled());
    else if (end.kind === 'ok') this.#settle(null);
    else void toFailure(end, this.#parts.instance).then((failure) => this.#settle(failure));
  };

  readonly #onLate = (): void => {
    if (this.#isDecided || this.#isCancelled) return;
    this.#giveUp('timeout', timedOut(this.#parts.call.version));
  };

  /** The instance may go on if the handler obeys its signal. */
  readonly #onGone = (): void => {
    if (this.#isDecided || this.#isCancelled) return;
    this.#isCancelled = true;
    this.#stop.abort(cancelled());
    this.#graceTimer = setTimeout(() => {
      if (!this.#isDecided) this.#giveUp('killed', cancelled());
    }, CANCEL_GRACE_MS).unref();
  };

  /** An instance with a call that does not end is done for. Other calls on it may finish; it takes no more. */
  #giveUp(reason: 'timeout' | 'killed', failure: Failure): void {
    const { instance } = this.#parts;
    this.#isDecided = true;
    this.#stop.abort(failure);
    if (instance.version.config.concurrency === 1) void instance.end(reason);
    else void instance.retire(reason);
    this.#settle(failure);
  }

  #settle(failure: Failure | null): void {
    this.#rest();
    // An answer that is cut must not look whole.
    if (failure !== null && this.#body?.readableEnded === false)
      this.#body.destroy(new WaferError(failure.kind, failure.message));
    if (failure !== null) this.#answer({ kind: 'failure', failure });
    void this.#finish(failure);
  }

  async #finish(failure: Failure | null): Promise<void> {
    const { instance, receipt, used, release } = this.#parts;
    const paid = { ...receipt(), used: used() };
    try {
      await instance.settle();
    } finally {
      release();
      const bytesOut = this.#end?.kind === 'ok' ? this.#end.bytes : 0;
      this.#resolveDone({ outcome: failure ?? { kind: 'ok' }, receipt: paid, bytesOut });
    }
  }

  /** Only the first counts. */
  #answer(result: CallResult): void {
    this.#resolveReply({ result, receipt: this.#parts.receipt(), done: this.#done });
  }

  #rest(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#graceTimer);
    this.#parts.call.signal.removeEventListener('abort', this.#onGone);
  }
}

function timedOut({ functionName, config: { runtime, timeoutMs } }: FunctionVersion): Failure {
  const hint =
    runtime === 'image'
      ? ' Its program runs once for each call and has to end; a server needs EXPOSE in its Dockerfile, or "runtime": "http".'
      : '';
  return {
    kind: 'function_timeout',
    message: `${functionName} did not finish within ${timeoutMs} ms (timeoutMs in wafer.json).${hint}`,
  };
}

async function toFailure(error: Extract<RuntimeEnd, { kind: 'error' }>, instance: Instance): Promise<Failure> {
  const { message, errorType, stack } = error;
  if (error.code === 'connection_closed') {
    return instance.explainEnd().then(
      (failure) => maskFailure(instance, failure),
      () => ({ kind: 'function_killed', message }), // the engine can not tell, either
    );
  }
  const known = GUEST_CODES.find((code) => code === error.code) ?? 'function_error';
  return maskFailure(instance, { kind: known, message, errorType, stack });
}

const GUEST_CODES = ['function_error', 'result_not_serialisable', 'result_too_large', 'protocol_error'] as const;

function callHead(call: Call, deadlineMs: number): RuntimeCallHead {
  const common = { invocationId: call.invocationId, deadlineMs, attempt: call.attempt };
  return call.request.kind === 'event'
    ? { ...common, ...call.trace, kind: 'event' }
    : { ...common, kind: 'http', ...call.request.head };
}
