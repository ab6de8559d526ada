import { describe, expect, it } from 'vitest';
import type { FunctionConfig } from '../../../services/core/functions/schema.ts';
import { acceptOptions } from '../../../services/core/invocations/durable/options.ts';
import { DEFAULT_RETRY } from '../../../services/core/invocations/durable/retry.ts';

const optionsOf = (config: Partial<FunctionConfig>) => acceptOptions({ config: config as FunctionConfig });

describe('acceptOptions()', () => {
  it('gives the defaults to a version that sets nothing', () => {
    expect(optionsOf({})).toEqual({ retry: DEFAULT_RETRY, limits: {}, followers: {} });
  });

  it('maps what is set, percent of jitter to a share', () => {
    const { retry, limits } = optionsOf({
      retries: { attempts: 7, backoff: 'fixed', delayMs: 5, jitter: 50, on: ['error:TypeError'], maxAgeMs: 60_000 },
      queue: { maxPending: 3, concurrency: 2, concurrencyPerKey: 1, rate: { count: 10, periodMs: 1_000 } },
    });
    expect(retry).toEqual({
      attempts: 7,
      backoff: { kind: 'fixed', delayMs: 5, maxDelayMs: DEFAULT_RETRY.backoff.maxDelayMs, jitter: 0.5 },
      retryOn: ['error:TypeError'],
      maxAgeMs: 60_000,
    });
    expect(limits).toEqual({
      pending: 3,
      concurrency: 2,
      concurrencyPerKey: 1,
      rate: { count: 10, periodMs: 1_000, burst: 1 },
    });
  });

  it('does not cut a delay that is longer than the usual longest one', () => {
    expect(optionsOf({ retries: { delayMs: 3_600_000 } }).retry.backoff.maxDelayMs).toBe(3_600_000);
  });

  it('takes what follows along: the version may be gone by then', () => {
    const both = { onSuccess: 'next', onFailure: 'https://example.org/' };
    expect(optionsOf(both).followers).toEqual(both);
  });
});
