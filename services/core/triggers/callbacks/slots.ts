/**
 * How much is sent at once: a receiver that never answers must not keep others waiting, nor bodies
 * fill the memory. What finds no room is told when there will be some: one after another, as fast as
 * that receiver has been.
 */

export interface Slots {
  /** `null`: of no receiver. What alone is larger than all is let through alone. */
  take(host: string | null, bytes: number): { done: () => void } | { at: number };
}

export interface SlotLimits {
  perHost: number;
  /** Of all bodies together. */
  bytes: number;
}

interface Host {
  running: number;
  /** Of an attempt, by experience. */
  meanMs: number;
  /** Up to here its time is promised. */
  promised: number;
}

const FIRST_GUESS_MS = 1_000;
const LEAST_WAIT_MS = 200;

export function createSlots({ perHost, bytes: most }: SlotLimits, now: () => number = Date.now): Slots {
  const hosts = new Map<string, Host>();
  let used = 0;
  const hostOf = (name: string): Host => {
    const known = hosts.get(name) ?? { running: 0, meanMs: FIRST_GUESS_MS, promised: 0 };
    hosts.set(name, known);
    return known;
  };
  return {
    take(name, bytes) {
      const host = name === null ? null : hostOf(name);
      const at = now();
      if ((host !== null && host.running >= perHost) || (used > 0 && used + bytes > most)) {
        if (host === null) return { at: at + LEAST_WAIT_MS };
        host.promised = Math.max(host.promised, at + LEAST_WAIT_MS) + host.meanMs / perHost;
        return { at: Math.round(host.promised) };
      }
      if (host !== null) host.running++;
      used += bytes;
      return {
        done() {
          used -= bytes;
          if (name === null || host === null) return;
          host.running--;
          host.meanMs += (now() - at - host.meanMs) / 4;
          if (host.running === 0 && host.promised <= now()) hosts.delete(name);
        },
      };
    },
  };
}
