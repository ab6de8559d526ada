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
  const ready = [...lane.instances].filter((instance) => instance.free > 0);
  return ready.sort((a, b) => b.lastUsedAt - a.lastUsedAt)[0];
};

/** Has calls, and nothing that will ever serve one. */
export const isStarved = <T extends Pooled>(lane: Lane<T>): boolean =>
  lane.waiting.length > 0 && lane.starting + countLive(lane) === 0;
