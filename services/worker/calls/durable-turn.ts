/** One turn of an accepted invocation: an attempt by the dispatcher, as for any call, and its commit. */
import type { Readable } from 'node:stream';
import { coerceError, WaferError } from '../../core/errors.ts';
import type { FunctionStore, FunctionVersion } from '../../core/functions/types.ts';
import type { Attempt, AttemptEnd, Attempts } from '../../core/invocations/durable/types.ts';
import type { CallEnd, CallReply, Dispatcher } from '../../core/invocations/types.ts';
import type { Log } from '../../core/log.ts';
import type { Claim, Turn } from '../../core/queue/types.ts';
import { MAX_RESULT_BYTES } from '../instances/instance.ts';

export interface TurnDeps {
  attempts: Attempts;
  dispatcher: Pick<Dispatcher, 'call'>;
  functions: Pick<FunctionStore, 'resolve'>;
  /** Whether what the invocation writes is in a volume. Undefined where no volumes lie. */
  hasWritten?: ((invocationId: string) => boolean) | undefined;
  log: Log;
}

/** A handler that throws an error of this name says that another attempt is of no use. */
const NOT_RETRYABLE = 'NonRetryableError';
/** When the platform is full, or on its way down. */
const BACK_MS = 1_000;

export const createTurn =
  (deps: TurnDeps) =>
  async (claim: Claim): Promise<Turn> => {
    const attempt = await deps.attempts.begin(claim);
    const { next } =
      'number' in attempt ? await deps.attempts.settle(claim, attempt, await runAttempt(attempt, deps)) : attempt;
    return next === null ? { kind: 'done' } : { kind: 'again', at: next };
  };

async function runAttempt(attempt: Attempt, deps: TurnDeps): Promise<AttemptEnd> {
  const { id, functionName, version: number, crashes } = attempt.record;
  // A worker can go between the commit of a volume and that of the outcome.
  if (crashes > 0 && deps.hasWritten?.(id)) return { kind: 'written' };
  if (attempt.lost !== undefined) return { kind: 'lost' };
  let version: FunctionVersion;
  try {
    version = await deps.functions.resolve(functionName, { version: number });
  } catch (error) {
    if (error instanceof WaferError && error.status === 404) return removed(functionName, number);
    return back(error);
  }
  try {
    return await call(version, attempt, deps);
  } catch (error) {
    if (!(error instanceof WaferError))
      deps.log.error({ err: error, invocation: attempt.record.id }, 'an attempt failed');
    return back(error);
  }
}

async function call(version: FunctionVersion, attempt: Attempt, { dispatcher }: TurnDeps): Promise<AttemptEnd> {
  const reply = await dispatcher.call({
    invocationId: attempt.record.id,
    version,
    request: { kind: 'event', body: attempt.event },
    attempt: attempt.number,
    acceptedAt: performance.now(),
    signal: attempt.signal,
  });
  const result = await readResult(reply);
  return toEnd(await reply.done, result);
}

async function readResult({ result }: CallReply): Promise<{ bytes: Buffer; contentType: string }> {
  if (result.kind === 'failure') return { bytes: Buffer.alloc(0), contentType: '' };
  const contentType =
    result.kind === 'value'
      ? result.contentType
      : (result.headers.find(([name]) => name === 'content-type')?.[1] ?? 'application/octet-stream');
  if (Buffer.isBuffer(result.body)) return { bytes: result.body, contentType };
  return { bytes: await readUpTo(result.body, MAX_RESULT_BYTES), contentType };
}

/** What is more is read and dropped; the runtime says itself that it was too much. */
async function readUpTo(body: Readable, most: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  try {
    for await (const part of body as AsyncIterable<Buffer>) {
      size += part.length;
      if (size <= most) parts.push(part);
    }
  } catch {
    // `done` says why it broke off
  }
  return Buffer.concat(parts);
}

function toEnd(
  { outcome, receipt }: CallEnd,
  { bytes, contentType }: { bytes: Buffer; contentType: string },
): AttemptEnd {
  if (outcome.kind === 'ok') return { kind: 'ok', result: bytes, contentType, receipt };
  return { kind: 'failure', failure: outcome, receipt, final: outcome.errorType === NOT_RETRYABLE };
}

const removed = (functionName: string, version: number): AttemptEnd => ({
  kind: 'failure',
  failure: { kind: 'function_killed', message: `${functionName} v${version} was removed before it ran.` },
  receipt: null,
  final: true,
});

const back = (error: unknown): AttemptEnd => ({
  kind: 'back',
  reason: coerceError(error).message.slice(0, 500),
  next: Date.now() + BACK_MS,
});
