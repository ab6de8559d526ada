/**
 * What garbage collection must keep although nothing on disk refers to it: leases of
 * callers, work in progress, and whatever was added or found a moment ago, so that a
 * caller has time to put a layer into an image, or to lease what it was given.
 * All of it is in memory: it ends with the process, as do the sandboxes that needed it.
 */
import type { Digest, Lease } from './types.ts';

export interface Holds {
  /** Counted: two holds of one digest need two releases. Releasing twice is releasing once. */
  hold(digests: readonly Digest[]): Lease;
  /** Keeps it for the grace time from now on. */
  refresh(digest: Digest): void;
  /** Ends the grace time; holds go on. */
  forget(digest: Digest): void;
  has(digest: Digest): boolean;
  all(): Digest[];
}

export function createHolds(monotonicMs: () => number, graceMs: number): Holds {
  const counts = new Map<Digest, number>();
  const freshUntil = new Map<Digest, number>();

  const isFresh = (digest: Digest) => {
    const until = freshUntil.get(digest);
    if (until === undefined) return false;
    if (until > monotonicMs()) return true;
    freshUntil.delete(digest);
    return false;
  };

  const drop = (digest: Digest) => {
    const left = (counts.get(digest) ?? 0) - 1;
    if (left > 0) counts.set(digest, left);
    else counts.delete(digest);
  };

  return {
    hold(digests) {
      for (const digest of digests) counts.set(digest, (counts.get(digest) ?? 0) + 1);
      let isHeld = true;
      return {
        release() {
          if (isHeld) digests.forEach(drop);
          isHeld = false;
        },
      };
    },
    refresh(digest) {
      freshUntil.set(digest, monotonicMs() + graceMs);
    },
    forget: (digest) => void freshUntil.delete(digest),
    has: (digest) => counts.has(digest) || isFresh(digest),
    all: () => [...counts.keys(), ...[...freshUntil.keys()].filter(isFresh)],
  };
}
