/**
 * The way of a call: acquire an instance, run, settle on one outcome and a receipt.
 * Guest failures are values; only the platform's own failures are thrown.
 */
import type { Readable } from 'node:stream';
import {
  type RuntimeCall,
  type RuntimeCallHead,
  type RuntimeResult,
  SandboxError,
} from '../../runtime/sandbox/index.ts';
import { WaferError } from '../core/errors.ts';
import type { FunctionVersion } from '../core/functions/types.ts';
import type {
  Call,
  CallEnd,
  CallReply,
  CallResult,
  Dispatcher,
  Failure,
  Outcome,
  Receipt,
} from '../core/invocations/types.ts';
import type { Blanks } from './blanks/index.ts';
import { InitFailure } from './init-failure.ts';
import type { Instance } from './instance.ts';
import type { Grant, Pool } from './pool.ts';
import { failedStartReceipt, makeReceipt } from './receipt.ts';

export function createDispatcher(pool: Pool<Instance>, blanks: Pick<Blanks, 'list' | 'forget'>): Dispatcher {
  return {
    call: (call) => runCall(pool, call),
    instances: () => Promise.all(pool.instances().map((instance) => instance.info())),
    blanks: () => blanks.list(),
    async retire(functionName) {
      blanks.forget(functionName);
      await pool.retire(functionName);
    },
  };
}

async function runCall(pool: Pool<Instance>, call: Call): Promise<CallReply> {
  const acceptedAt = performance.now();
  let grant: Grant<Instance>;
  try {
    grant = await pool.acquire(call.version, call.signal);
  } catch (error) {
    return replyWithoutInstance(error, call, acceptedAt);
  }
  const grantedAt = performance.now();
  const { instance } = grant;
  const start = grant.started ? instance.timings : null;
  const receipt = (): Receipt => makeReceipt(instance.id, start, grantedAt - acceptedAt, performance.now() - grantedAt);
  return execute(call, instance, receipt, () => grant.release());
}

/** Runs the call on its instance. `release` is called once, whatever happens. */
async function execute(
  call: Call,
  instance: Instance,
  receipt: () => Receipt,
  release: () => void,
): Promise<CallReply> {
  const { timeoutMs } = call.version.config;
  const deadlineMs = Date.now() + timeoutMs;
  const clock = raceClock(timeoutMs, call.signal);
  const running = begin(call, instance, deadlineMs, clock, release);
  const failure = watchFailure(call, instance, running, clock);
  const done = settleCall(running, failure, receipt).finally(async () => {
    clock.stop();
    await instance.settle();
    release();
  });
  // A time-out or a caller that leaves comes before a head that never will.
  const failedFirst = failure.then((failed): Promise<Head> | Failure => failed ?? running.head);
  const head = await Promise.race<Head>([running.head, failedFirst]);
  return { result: await toResult(head, failure), receipt: receipt(), done };
}

/** A call that can not even begin gives its room back. */
function begin(call: Call, instance: Instance, deadlineMs: number, clock: Clock, release: () => void): RuntimeCall {
  try {
    return instance.call(callHead(call, deadlineMs), call.request.body, clock.signal);
  } catch (error) {
    clock.stop();
    release();
    throw error;
  }
}

/** Aborts at the time-out or when the caller leaves, and says which. */
function raceClock(timeoutMs: number, caller: AbortSignal) {
  const controller = new AbortController();
  let reason: 'timeout' | 'cancelled' | undefined;
  const stop = (why: 'timeout' | 'cancelled') => {
    reason ??= why;
    controller.abort();
  };
  const timer = setTimeout(() => stop('timeout'), timeoutMs);
  const onCaller = () => stop('cancelled');
  caller.addEventListener('abort', onCaller, { once: true });
  if (caller.aborted) onCaller();
  return {
    signal: controller.signal,
    reason: () => reason,
    stop: () => {
      clearTimeout(timer);
      caller.removeEventListener('abort', onCaller);
    },
  };
}

type Clock = ReturnType<typeof raceClock>;

/** The call's failure once known, or null when it ended well. Never rejects; ends the instance when it must not live on. */
async function watchFailure(
  call: Call,
  instance: Instance,
  running: RuntimeCall,
  clock: Clock,
): Promise<Failure | null> {
  const aborted = new Promise<'aborted'>((resolve) => {
    if (clock.signal.aborted) resolve('aborted');
    clock.signal.addEventListener('abort', () => resolve('aborted'), { once: true });
  });
  const first = await Promise.race([running.ended, aborted]);
  if (first !== 'aborted') return first.kind === 'ok' ? null : toFailure(first, instance);
  if (clock.reason() === 'cancelled') {
    // The instance may go on if the handler obeys its signal; else its own time-out ends it.
    const obeyed = await Promise.race([running.ended.then(() => true), wait(CANCEL_GRACE_MS).then(() => false)]);
    if (!obeyed) endAfterAbort(instance, 'killed');
    return cancelled();
  }
  endAfterAbort(instance, 'timeout');
  return timedOut(call.version);
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

/** An instance with a call that does not end is done for. Other calls on it may finish; it takes no more. */
function endAfterAbort(instance: Instance, reason: 'timeout' | 'killed'): void {
  if (instance.version.config.concurrency === 1) void instance.end(reason);
  else void instance.retire(reason);
}

const CANCEL_GRACE_MS = 1_000;
const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms).unref());
const cancelled = (): Failure => ({
  kind: 'cancelled',
  message: 'The caller went away before the function had answered.',
});

async function toFailure(error: Extract<RuntimeResult, { kind: 'error' }>, instance: Instance): Promise<Failure> {
  if (error.code === 'connection_closed') return instance.explainEnd();
  const { message, errorType, stack } = error;
  const known = GUEST_CODES.find((code) => code === error.code) ?? 'function_error';
  return {
    kind: known,
    message,
    ...(errorType === undefined ? {} : { errorType }),
    ...(stack === undefined ? {} : { stack }),
  };
}

const GUEST_CODES = ['function_error', 'result_not_serialisable', 'result_too_large', 'protocol_error'] as const;

async function settleCall(
  running: RuntimeCall,
  failure: Promise<Failure | null>,
  receipt: () => Receipt,
): Promise<CallEnd> {
  const failed = await failure;
  const outcome: Outcome = failed ?? { kind: 'ok' };
  const end = await Promise.race([running.ended, Promise.resolve(null)]);
  return { outcome, receipt: receipt(), bytesOut: end?.kind === 'ok' ? end.bytes : 0 };
}

type Head = RuntimeResult | Failure;

async function toResult(head: Head, failure: Promise<Failure | null>): Promise<CallResult> {
  if (head.kind === 'value' || head.kind === 'http') return cutOnFailure(head, failure);
  return { kind: 'failure', failure: head.kind === 'error' ? ((await failure) ?? unexplained()) : head };
}

/** A body that is cut by a time-out must not look whole. */
function cutOnFailure(head: Extract<CallResult, { body: Readable }>, failure: Promise<Failure | null>): CallResult {
  void failure.then((failed) => {
    if (failed !== null && !head.body.readableEnded) head.body.destroy(new WaferError(failed.kind, failed.message));
  });
  return head;
}

const unexplained = (): Failure => ({ kind: 'function_error', message: 'The function failed without a reason.' });

function callHead(call: Call, deadlineMs: number): RuntimeCallHead {
  const common = { invocationId: call.invocationId, deadlineMs, attempt: call.attempt };
  return call.request.kind === 'event'
    ? { ...common, kind: 'event' }
    : { ...common, kind: 'http', ...call.request.head };
}

/** The call never reached an instance: the function does not load, the caller left, or the platform can not. */
function replyWithoutInstance(error: unknown, call: Call, acceptedAt: number): CallReply {
  const waitedMs = performance.now() - acceptedAt;
  if (error instanceof InitFailure) {
    return failedReply(error.failure, failedStartReceipt(error.instanceId, error.timings, waitedMs));
  }
  if (call.signal.aborted) return failedReply(cancelled(), failedStartReceipt('', null, waitedMs));
  if (error instanceof SandboxError) {
    const code = error.code === 'engine_failed' ? 'engine_failed' : 'sandbox_failed';
    throw new WaferError(code, `No sandbox for ${call.version.functionName}: ${error.message}`, {
      cause: error,
      hint: 'Run `wafer doctor` on the machine of the worker.',
    });
  }
  throw error;
}

function failedReply(failure: Failure, receipt: Receipt): CallReply {
  return {
    result: { kind: 'failure', failure },
    receipt,
    done: Promise.resolve({ outcome: failure, receipt, bytesOut: 0 }),
  };
}
