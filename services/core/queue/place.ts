/** Where a queue lies, and what is the same for both of its ends. */
import type { QueueOptions } from 'bullmq';
import type { Redis } from 'ioredis';
import { keysOf } from '../store/keys.ts';

export interface QueuePlace {
  namespace?: string;
  /** E.g. `calls`. */
  name: string;
}

/** It has the hash tag of the namespace: a script of ours may read the lock of a job. */
export const prefixOf = ({ namespace }: QueuePlace): string => keysOf(namespace).queuePrefix;

export const optionsOf = (redis: Redis, place: QueuePlace): QueueOptions => ({
  connection: redis,
  prefix: prefixOf(place),
  // Records are ours: a job that had its turn is gone.
  defaultJobOptions: { attempts: 1, removeOnComplete: true, removeOnFail: true },
  streams: { events: { maxLen: 100 } },
});
