/** How many calls that were accepted are where, now and since the beginning, over all workers. */
import type { Redis } from 'ioredis';
import type { CallQueue } from '../../queue/types.ts';
import { withStore } from '../../store/errors.ts';
import { keysOf } from '../../store/keys.ts';

/** Now. `pending` have not ended, whatever else they are; `dead` wait for a person. */
export const PLACES = ['pending', 'waiting', 'delayed', 'running', 'dead'] as const;
/** Ever: how calls ended, attempts whose worker was gone, and results that came after their attempt was given up. */
export const HAPPENINGS = ['succeeded', 'failed', 'cancelled', 'expired', 'lost', 'late'] as const;

export interface DurableCounts {
  now: Record<(typeof PLACES)[number], number>;
  ever: Record<(typeof HAPPENINGS)[number], number>;
}

/** @throws WaferError `store_unavailable` */
export async function countDurable(redis: Redis, queue: CallQueue, namespace?: string): Promise<DurableCounts> {
  const { root } = keysOf(namespace);
  const [dead, happened, queued] = await withStore('count calls', () =>
    Promise.all([
      redis.zcard(`${root}:dead`),
      redis.hmget(`${root}:durable`, 'pending', ...HAPPENINGS),
      queue.counts(),
    ]),
  );
  const [pending, ...others] = happened.map((count) => Number(count ?? 0));
  const ever = Object.fromEntries(HAPPENINGS.map((name, at) => [name, others[at] ?? 0])) as DurableCounts['ever'];
  return { now: { pending: pending ?? 0, dead, ...queued }, ever };
}
