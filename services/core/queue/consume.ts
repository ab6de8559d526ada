/** Takes turns from the queue over connections of its own. */
import { DelayedError, type Job, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import { optionsOf, prefixOf, type QueuePlace } from './place.ts';
import type { Claim, ConsumeOptions, Consumer, Turn } from './types.ts';

/** A worker that is gone is noticed after these two together, at the latest: its locks end, then somebody looks. */
const LOCK_MS = 6_000;
const STALLED_CHECK_MS = 3_000;
/** Bounds a wait that a lost wake-up would make endless; in seconds. */
const DRAIN_DELAY_S = 2;
/** The records decide how often an id may crash its worker. */
const NEVER = 1_000_000;
/** An id whose turn the platform itself failed comes again after this time. */
const FAULT_MS = 1_000;

/** `redis` is copied, and stays the caller's. */
export function consumeCalls(redis: Redis, place: QueuePlace, options: ConsumeOptions): Consumer {
  // Blocking commands wait as long as they like, and a consumer outlives a restart of Redis.
  const connection = redis.duplicate({
    maxRetriesPerRequest: null,
    enableOfflineQueue: true,
    commandTimeout: undefined,
  });
  connection.on('error', () => {}); // BullMQ passes them on
  const { onError, concurrency, turn } = options;
  const lost = lostClaims();
  const worker = new Worker(
    place.name,
    async (job: Job, token = '') => {
      const id = job.id ?? '';
      const claim = claimOf(place, id, token, lost.watch(id));
      const next = await turn(claim)
        .catch((error: unknown): Turn => {
          onError(error);
          return { kind: 'again', at: Date.now() + FAULT_MS };
        })
        .finally(() => lost.forget(id));
      if (next.kind === 'done') return;
      // Without Redis it stays where it is, and comes again when its lock has ended.
      await job.moveToDelayed(next.at, token).catch(onError);
      // Anything else that is thrown, and a return, would take the job out of the queue.
      throw new DelayedError();
    },
    {
      ...optionsOf(connection, place),
      concurrency,
      lockDuration: LOCK_MS,
      stalledInterval: STALLED_CHECK_MS,
      drainDelay: DRAIN_DELAY_S,
      maxStalledCount: NEVER,
      runRetryDelay: 500,
    },
  );
  worker.on('lockRenewalFailed', (ids) => lost.tell(ids));
  worker.on('error', onError);
  return {
    async close() {
      await worker.close();
      connection.disconnect();
    },
  };
}

const claimOf = (place: QueuePlace, id: string, token: string, signal: AbortSignal): Claim => ({
  id,
  lock: { key: `${prefixOf(place)}:${place.name}:${id}:lock`, token },
  signal,
});

function lostClaims() {
  const running = new Map<string, AbortController>();
  return {
    watch(id: string): AbortSignal {
      const controller = new AbortController();
      running.set(id, controller);
      return controller.signal;
    },
    forget: (id: string) => void running.delete(id),
    tell(ids: readonly string[]) {
      for (const id of ids) running.get(id)?.abort();
    },
  };
}
