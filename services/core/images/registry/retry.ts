import { setTimeout as sleep } from 'node:timers/promises';
import { WaferError } from '../../errors.ts';
import { TransientError } from './http.ts';
import type { RegistryLimits } from './limits.ts';

/** Doubles; a registry's own wish counts, up to a bound. */
export async function backOff(
  error: TransientError,
  tried: number,
  limits: RegistryLimits,
  signal: AbortSignal,
): Promise<void> {
  const wished = error.retryAfterMs ?? limits.backoffMs * 2 ** (tried - 1);
  await sleep(Math.min(wished, limits.maxBackoffMs), undefined, { signal });
}

export const gaveUp = (what: string, tried: number, cause: TransientError): WaferError =>
  new WaferError('registry_failed', `${what} failed ${tried} times; the last time: ${cause.message}.`, { cause });

/** Runs it again after failures that may pass; a try that `progressed` does not count. @throws WaferError `registry_failed` in the end */
export async function withRetries<T>(
  what: string,
  limits: RegistryLimits,
  signal: AbortSignal,
  work: () => Promise<T>,
  progressed: () => boolean = () => false,
): Promise<T> {
  for (let tried = 1; ; tried++) {
    try {
      return await work();
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof TransientError)) throw error;
      if (progressed()) tried = 1;
      if (tried >= limits.attempts) throw gaveUp(what, tried, error);
      await backOff(error, tried, limits, signal);
    }
  }
}
