/**
 * Entries of one moment that say the same become one: a function that tries a closed door a
 * thousand times a second is one line, and one that tries a thousand doors is few. Pure.
 */
import type { EgressEntry } from './types.ts';

/** Different ones of a function that are kept of one moment; what is beyond is told in a sum. */
export const MAX_DIFFERENT = 50;

const same = (entry: EgressEntry) =>
  JSON.stringify([
    entry.functionName,
    entry.instanceId,
    entry.host,
    entry.address,
    entry.port,
    entry.verdict,
    entry.reason,
  ]);

const sum = (a: EgressEntry, b: EgressEntry): EgressEntry => ({
  ...b,
  time: Math.max(a.time, b.time),
  bytesUp: a.bytesUp + b.bytesUp,
  bytesDown: a.bytesDown + b.bytesDown,
  durationMs: Math.max(a.durationMs, b.durationMs),
  count: a.count + b.count,
});

/** What stands for the entries that were too many. */
const others = (entry: EgressEntry): EgressEntry => {
  const { host: _host, address: _address, ...rest } = entry;
  return { ...rest, port: 0, reason: `more than ${MAX_DIFFERENT} different connections in a second; not listed` };
};

/** In the order in which the first of each came. */
export function together(entries: readonly EgressEntry[], maxDifferent = MAX_DIFFERENT): EgressEntry[] {
  const found = new Map<string, EgressEntry>();
  const different = new Map<string, number>();
  const add = (key: string, entry: EgressEntry) => {
    const before = found.get(key);
    found.set(key, before === undefined ? entry : sum(before, entry));
    return before === undefined;
  };
  for (const entry of entries) {
    const { functionName, verdict } = entry;
    const key = same(entry);
    const count = different.get(functionName) ?? 0;
    if (count >= maxDifferent && !found.has(key)) add(JSON.stringify([functionName, verdict]), others(entry));
    else if (add(key, entry)) different.set(functionName, count + 1);
  }
  return [...found.values()];
}
