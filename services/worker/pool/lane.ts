/** The instances and waiting calls of one version. */
import type { CallerSignal } from '../../core/invocations/light-signal.ts';
import { countLive, type Occupied } from './room.ts';
import type { Grant, Pooled } from './types.ts';

export interface Waiter<T extends Pooled> {
  settle: (grant: Grant<T>) => void;
  fail: (error: unknown) => void;
}

export interface Lane<T extends Pooled> extends Occupied<T> {
  waiting: Waiter<T>[];
  /** Of those that start: the ones that will not be given up any more. */
  bound: number;
  /** Retired: what is on its way and was not started for a call ends when it arrives. */
  isRetired?: boolean;
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

/** Each time that a call has waited so long, it is looked at what for. */
export interface Patience {
  ms: number;
  /** What it fails with; null: it goes on waiting. */
  over: () => Error | null;
}

/**
 * A call waits until it is granted an instance, fails, loses its patience, or its caller leaves. `onLeave` is told first,
 * whatever happens.
 */
export function joinLane<T extends Pooled>(
  lane: Lane<T>,
  signal: CallerSignal,
  onLeave: () => void,
  patience?: Patience,
): Promise<Grant<T>> {
  return new Promise((resolve, reject) => {
    const timer = patience && setInterval(() => loseIt(patience.over()), patience.ms);
    const loseIt = (error: Error | null) => void (error !== null && waiter.fail(error));
    const leave = () => {
      clearInterval(timer);
      lane.waiting = lane.waiting.filter((one) => one !== waiter);
      signal.removeEventListener('abort', onAbort);
      onLeave();
    };
    const waiter: Waiter<T> = {
      settle: (grant) => {
        leave();
        resolve(grant);
      },
      fail: (error) => {
        leave();
        reject(error);
      },
    };
    const onAbort = () => waiter.fail(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    lane.waiting.push(waiter);
  });
}

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
