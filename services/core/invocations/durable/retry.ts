/** Whether an attempt that failed is followed by another, and when. */
import type { Failure } from '../types.ts';
import type { RetryPolicy } from './types.ts';

export const DEFAULT_RETRY: RetryPolicy = {
  attempts: 3,
  backoff: { kind: 'exponential', delayMs: 1_000, maxDelayMs: 300_000, jitter: 0.2 },
  retryOn: [],
  maxAgeMs: 24 * 3_600_000,
};

/** The same code fails the same way again. */
const HOPELESS: readonly Failure['kind'][] = [
  'handler_not_found',
  'result_not_serialisable',
  'result_too_large',
  'cancelled',
  'expired',
];

export interface Failed {
  failure: Failure;
  /** Attempts so far, this one included. */
  attempt: number;
  /** When it was accepted, or when it was to run. */
  dueAt: number;
  /** The handler said that it is of no use. */
  final: boolean;
}

/** Epoch ms of the next attempt; null: there is none. `random` gives 0 to below 1. */
export function nextAttempt(
  policy: RetryPolicy,
  { failure, attempt, dueAt, final }: Failed,
  now: number,
  random: () => number = Math.random,
): number | null {
  if (final || attempt >= policy.attempts || !mayRetry(policy, failure)) return null;
  const at = now + delayAfter(policy, attempt, random);
  return at >= dueAt + policy.maxAgeMs ? null : at;
}

function mayRetry({ retryOn }: RetryPolicy, { kind, errorType }: Failure): boolean {
  if (retryOn.length === 0) return !HOPELESS.includes(kind);
  return retryOn.includes(kind) || (errorType !== undefined && retryOn.includes(`error:${errorType}`));
}

/** Jitter only shortens: nobody waits longer than they were told. */
function delayAfter({ backoff }: RetryPolicy, attempt: number, random: () => number): number {
  const { kind, delayMs, maxDelayMs, jitter } = backoff;
  const whole = Math.min(kind === 'fixed' ? delayMs : delayMs * 2 ** (attempt - 1), maxDelayMs);
  return Math.round(whole * (1 - jitter * random()));
}
