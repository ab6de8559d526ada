/** How much is sent at once: a receiver that never answers must not keep others waiting, nor bodies fill the memory. */

export interface Slots {
  /** Call what it gives when it is done; null: not now. What alone is larger than all is let through alone. */
  take(host: string, bytes: number): (() => void) | null;
}

export interface SlotLimits {
  perHost: number;
  bytes: number;
}

export function createSlots({ perHost, bytes: most }: SlotLimits): Slots {
  const hosts = new Map<string, number>();
  let used = 0;
  return {
    take(host, bytes) {
      const running = hosts.get(host) ?? 0;
      if (running >= perHost || (used > 0 && used + bytes > most)) return null;
      hosts.set(host, running + 1);
      used += bytes;
      return () => {
        used -= bytes;
        const left = (hosts.get(host) ?? 1) - 1;
        if (left > 0) hosts.set(host, left);
        else hosts.delete(host);
      };
    },
  };
}
