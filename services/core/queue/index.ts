/**
 * `CallQueue` over BullMQ; no file outside of this folder knows BullMQ.
 *
 * Jobs are empty: their id is the invocation's, all else is in its record, so a job may be
 * pushed again, or run again, without harm. BullMQ's own retries and kept jobs are off.
 */
import { type JobsOptions, Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { withStore } from '../store/errors.ts';
import { optionsOf, type QueuePlace } from './place.ts';
import type { CallQueue, Ticket } from './types.ts';

export { consumeCalls } from './consume.ts';
export type { QueuePlace } from './place.ts';
export type * from './types.ts';

const DEFAULT_PRIORITY = 5;
/** BullMQ runs jobs without a priority before those with one; all of ours have one. */
const FIRST_PRIORITY = 1;

/** `redis` stays the caller's: a push goes over it, so it comes after what was sent before. */
export function openCallQueue(redis: Redis, place: QueuePlace): CallQueue {
  const queue = new Queue(place.name, optionsOf(redis, place));
  queue.on('error', () => {}); // whoever pushes hears of it
  const hurry = async (id: string) => {
    const job = await queue.getJob(id);
    await job?.promote().catch(() => {}); // it had its turn meanwhile
  };
  return {
    push: (ticket) =>
      withStore('take the call', async () => {
        const { name, data, opts } = toJob(ticket);
        await queue.add(name, data, opts);
      }),
    pushAll: (tickets) => withStore('take the calls', async () => void (await queue.addBulk(tickets.map(toJob)))),
    hurry: (ids) => withStore('hurry calls', async () => void (await Promise.all(ids.map(hurry)))),
    remove: (id) => withStore('take a call back', async () => (await queue.remove(id)) === 1),
    counts: () =>
      withStore('count calls', async () => {
        const counts = await queue.getJobCounts('prioritized', 'waiting', 'delayed', 'active');
        const { prioritized = 0, waiting = 0, delayed = 0, active = 0 } = counts;
        return { waiting: prioritized + waiting, delayed, running: active };
      }),
    close: () => queue.close(),
  };
}

function toJob({ id, runAt, priority = DEFAULT_PRIORITY }: Ticket) {
  const delay = runAt === undefined ? 0 : Math.max(0, runAt - Date.now());
  const opts: JobsOptions = { jobId: id, priority: FIRST_PRIORITY + priority, ...(delay > 0 && { delay }) };
  return { name: 'call', data: {}, opts };
}
