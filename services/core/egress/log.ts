/**
 * The access log of functions: a bounded Redis stream of all, and one of each function, so that a
 * function that is loud does not take the lines of the others away.
 */
import type { Redis } from 'ioredis';
import { WaferError } from '../errors.ts';
import { createBatcher } from '../invocations/batcher.ts';
import type { Log } from '../log.ts';
import { withStore } from '../store/errors.ts';
import { followStream, lastStreamId, readStream, type StreamEntry } from '../store/follow-stream.ts';
import { DEFAULT_NAMESPACE, type Keys, keysOf } from '../store/keys.ts';
import { together } from './together.ts';
import {
  EGRESS_VERDICTS,
  type EgressEntry,
  type EgressLog,
  type EgressQuery,
  type StoredEgressEntry,
} from './types.ts';

export interface EgressLogOptions {
  log: Log;
  namespace?: string;
  /** Entries that were lost. Must not throw. */
  onDrop?: (count: number) => void;
  limits?: Partial<typeof EGRESS_LOG_LIMITS>;
}

export const EGRESS_LOG_LIMITS = {
  /** Equal entries of this time become one. */
  flushMs: 1_000,
  maxBatchItems: 5_000,
  maxBatchBytes: 4 * 1024 * 1024,
  maxPendingItems: 20_000,
  maxPendingBytes: 8 * 1024 * 1024,
  entries: 10_000,
  entriesPerFunction: 2_000,
  keepMs: 7 * 86_400_000,
};

const ENTRY_BYTES = 300;
const CURSOR = /^\d{1,15}-\d{1,15}$/;
/** Stream ids have the time of Redis, entries that of their machine. */
const CLOCK_SLACK_MS = 60_000;

export function createEgressLog(redis: Redis, options: EgressLogOptions): EgressLog {
  const { log, namespace = DEFAULT_NAMESPACE, onDrop = () => {} } = options;
  const limits = { ...EGRESS_LOG_LIMITS, ...options.limits };
  const keys = keysOf(namespace);
  const batcher = createBatcher<EgressEntry>({
    ...limits,
    sizeOf: ({ host, reason }) => ENTRY_BYTES + (host?.length ?? 0) + reason.length,
    write: (batch) => withStore('keep the egress log', () => append(redis, keys, limits, together(batch))),
    onDrop: (entries) => onDrop(entries.length),
    onError: (err) => log.warn({ err }, 'entries of the egress log could not be kept yet'),
  });
  const prepare = async (query: EgressQuery) => {
    await batcher.flush();
    return toTarget(keys, query, limits.keepMs);
  };
  return {
    write: batcher.add,
    flush: batcher.flush,
    read: async (query) => {
      const target = await prepare(query);
      return withStore('read the egress log', () => readEntries(redis, target, '+', query.limit));
    },
    async *follow(query, signal) {
      if (signal.aborted) return;
      const target = await prepare(query);
      const last = await withStore('read the egress log', () => lastStreamId(redis, target.key));
      yield* await withStore('read the egress log', () => readEntries(redis, target, last, query.limit));
      for await (const entry of followStream(redis, target.key, last, signal)) {
        const found = fromEntry(entry);
        if (target.wants(found)) yield found;
      }
    },
  };
}

interface Target {
  key: string;
  /** First stream id to look at, exclusive with `(`. */
  from: string;
  wants: (entry: EgressEntry) => boolean;
}

function toTarget(keys: Keys, { functionName, since, after, verdict }: EgressQuery, keepMs: number): Target {
  if (after !== undefined && !CURSOR.test(after))
    throw new WaferError('invalid_request', 'after: is not the cursor of an entry.', { details: { path: '/after' } });
  const start = Math.max(since ?? 0, Date.now() - keepMs) - CLOCK_SLACK_MS;
  return {
    key: functionName === undefined ? keys.egress : keys.egressOf(functionName),
    from: after === undefined ? String(Math.max(0, Math.floor(start))) : `(${after}`,
    wants: (entry) =>
      (since === undefined || entry.time >= since) && (verdict === undefined || entry.verdict === verdict),
  };
}

async function readEntries(
  redis: Redis,
  { key, from, wants }: Target,
  to: string,
  limit: number | undefined,
): Promise<StoredEgressEntry[]> {
  const found: StoredEgressEntry[] = [];
  for await (const entry of readStream(redis, key, from, to)) {
    const stored = fromEntry(entry);
    if (wants(stored)) found.push(stored);
    if (found.length === limit) break;
  }
  return found.reverse();
}

async function append(
  redis: Redis,
  keys: Keys,
  limits: typeof EGRESS_LOG_LIMITS,
  entries: readonly EgressEntry[],
): Promise<void> {
  const used = new Set([keys.egress]);
  const pipeline = redis.multi();
  for (const entry of entries) {
    const json = JSON.stringify(entry);
    const own = keys.egressOf(entry.functionName);
    used.add(own);
    pipeline.xadd(keys.egress, 'MAXLEN', '~', limits.entries, '*', 'e', json);
    pipeline.xadd(own, 'MAXLEN', '~', limits.entriesPerFunction, '*', 'e', json);
  }
  const oldest = Math.max(0, Date.now() - limits.keepMs - CLOCK_SLACK_MS);
  for (const key of used) pipeline.xtrim(key, 'MINID', oldest).pexpire(key, limits.keepMs);
  for (const [error] of (await pipeline.exec()) ?? []) if (error) throw error;
}

function fromEntry([cursor, fields]: StreamEntry): StoredEgressEntry {
  const entry = JSON.parse(fields[1] ?? '{}') as EgressEntry;
  return { ...entry, verdict: EGRESS_VERDICTS.find((one) => one === entry.verdict) ?? 'failed', cursor };
}
