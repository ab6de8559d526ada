/** What `wafer.json` says of invocations that are accepted first -> what `DurableCalls.accept` takes. */
import type { FunctionVersion } from '../../functions/types.ts';
import { DEFAULT_RETRY } from './retry.ts';
import type { AcceptRequest, CallLimits, RetryPolicy } from './types.ts';

export type AcceptOptions = Pick<AcceptRequest, 'retry' | 'limits' | 'followers' | 'transaction'>;

export function acceptOptions({ config }: Pick<FunctionVersion, 'config'>): AcceptOptions {
  return {
    retry: retryOf(config.retries),
    limits: limitsOf(config.queue),
    followers: followersOf(config),
    ...(config.volumes?.some(({ mode }) => mode === 'tx') && { transaction: true }),
  };
}

type Config = FunctionVersion['config'];

function retryOf({
  attempts,
  backoff,
  delayMs,
  maxDelayMs,
  jitter,
  on,
  maxAgeMs,
}: Config['retries'] = {}): RetryPolicy {
  const standard = DEFAULT_RETRY.backoff;
  return {
    attempts: attempts ?? DEFAULT_RETRY.attempts,
    backoff: {
      kind: backoff ?? standard.kind,
      delayMs: delayMs ?? standard.delayMs,
      maxDelayMs: maxDelayMs ?? Math.max(standard.maxDelayMs, delayMs ?? 0),
      jitter: jitter === undefined ? standard.jitter : jitter / 100,
    },
    retryOn: on ?? DEFAULT_RETRY.retryOn,
    maxAgeMs: maxAgeMs ?? DEFAULT_RETRY.maxAgeMs,
  };
}

const followersOf = ({ onSuccess, onFailure }: Config) => ({
  ...(onSuccess !== undefined && { onSuccess }),
  ...(onFailure !== undefined && { onFailure }),
});

const limitsOf = ({ maxPending, concurrency, concurrencyPerKey, rate }: Config['queue'] = {}): CallLimits => ({
  ...(maxPending !== undefined && { pending: maxPending }),
  ...(concurrency !== undefined && { concurrency }),
  ...(concurrencyPerKey !== undefined && { concurrencyPerKey }),
  ...(rate !== undefined && { rate: { burst: 1, ...rate } }),
});
