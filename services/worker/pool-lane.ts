/** The instances and waiting calls of one version. */
import { countLive, type Occupied } from './memory-budget.ts';
import type { Grant, Pooled } from './pool-types.ts';

export interface Waiter<T extends Pooled> {
  settle: (grant: Grant<T>) => void;
  fail: (error: unknown) => void;
}

export interface Lane<T extends Pooled> extends Occupied<T> {
  waiting: Waiter<T>[];
  /** Of an instance that was started ahead of a call. */
  keepMs?: number;
}

export const findReady = <T extends Pooled>(lane: Lane<T>): T | undefined => {
  // Newest use first: the least used ones get old and end.
  let newest: T | undefined;
  for (const instance of lane.instances) {
    if (instance.free > 0 && (newest === undefined || instance.lastUsedAt > newest.lastUsedAt)) newest = instance;
  }
  return newest;
};

/** Has calls, and nothing that will ever serve one. */
export const isStarved = <T extends Pooled>(lane: Lane<T>): boolean =>
  lane.waiting.length > 0 && lane.starting + countLive(lane) === 0;
