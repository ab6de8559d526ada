/** The instances and waiting calls of one version. */
import { countLive, type Occupied } from './memory-budget.ts';
import type { Grant, Pooled } from './pool-types.ts';

export interface Waiter<T extends Pooled> {
  settle: (grant: Grant<T>) => void;
  fail: (error: unknown) => void;
}

export interface Lane<T extends Pooled> extends Occupied<T> {
  waiting: Waiter<T>[];
  /** Of those that start: the ones that will not be given up any more. */
  bound: number;
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

/**
 * Whether one more that starts for calls is still to be made: each binds it at most once, when it is
 * about to begin. What is not made for a call always is.
 */
export function bindingOf<T extends Pooled>(lane: Lane<T>, forCall: boolean) {
  let isBound = !forCall;
  if (isBound) lane.bound++;
  return {
    isWanted: () => {
      if (isBound || lane.waiting.length <= lane.bound * lane.version.config.concurrency) return isBound;
      isBound = true;
      lane.bound++;
      return true;
    },
    /** It has started, or will not. */
    settle: () => {
      if (isBound) lane.bound--;
    },
  };
}

/** Has calls, and nothing that will ever serve one. */
export const isStarved = <T extends Pooled>(lane: Lane<T>): boolean =>
  lane.waiting.length > 0 && lane.starting + countLive(lane) === 0;
