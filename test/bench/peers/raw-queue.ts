/** Bare BullMQ over the platform's own Redis, so with its settings: `add`, a worker that does nothing, and the way there and back. */
import { join } from 'node:path';
import { Queue, QueueEvents, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { dataPaths } from '../../../services/core/config.ts';
import { TEST_DATA } from '../../helpers/test-data.ts';
import { until } from '../../helpers/until.ts';

export interface RawQueue {
  add(): Promise<void>;
  /** From `add` until this process knows that its worker has done it. */
  roundTrip(): Promise<void>;
  /** As many jobs that wait, then a worker that does nothing: jobs a second. */
  drain(count: number, concurrency: number): Promise<number>;
  /** Resolves when Redis does not rewrite its file, which it does for what others wrote before. */
  rested(): Promise<void>;
  close(): Promise<void>;
}

export const REDIS_SOCKET = join(dataPaths(TEST_DATA).redis, 'redis.sock');
const NAME = 'bench-raw';
const AT_ONCE = 1_000;
const KEEP_NONE = { removeOnComplete: true, removeOnFail: true };

export async function openRawQueue(): Promise<RawQueue> {
  const redis = new Redis({ path: REDIS_SOCKET, maxRetriesPerRequest: null });
  const place = { connection: redis, prefix: '{bench}' };
  const queue = new Queue(NAME, { ...place, defaultJobOptions: KEEP_NONE });
  const add = async () => void (await queue.add('call', {}, { priority: 1 }));
  const events = new QueueEvents(NAME, place);
  await events.waitUntilReady();
  let worker: Worker | undefined;
  return {
    add,
    async roundTrip() {
      worker ??= new Worker(NAME, async () => null, place);
      await worker.waitUntilReady();
      const job = await queue.add('call', {}, { priority: 1 });
      await job.waitUntilFinished(events);
    },
    async drain(count, concurrency) {
      await worker?.close();
      worker = undefined;
      await queue.obliterate({ force: true });
      for (let at = 0; at < count; at += AT_ONCE)
        await queue.addBulk(Array.from({ length: AT_ONCE }, () => ({ name: 'call', data: {}, opts: { priority: 1 } })));
      return drainAll(new Worker(NAME, async () => null, { ...place, concurrency, autorun: false }), count);
    },
    rested: async () => {
      const isBusy = async () => /aof_rewrite_(in_progress|scheduled):1/.test(await redis.info('persistence'));
      await until('Redis rests', async () => !(await isBusy()));
    },
    async close() {
      await worker?.close();
      await queue.obliterate({ force: true });
      await Promise.all([queue.close(), events.close()]);
      redis.disconnect();
    },
  };
}

async function drainAll(worker: Worker, count: number): Promise<number> {
  await worker.waitUntilReady();
  const began = performance.now();
  await new Promise<void>((resolve) => {
    let done = 0;
    worker.on('completed', () => ++done === count && resolve());
    void worker.run();
  });
  const seconds = (performance.now() - began) / 1000;
  await worker.close();
  return count / seconds;
}
