/** Accepted invocations by time, newest first. */
import type { Redis } from 'ioredis';
import { withStore } from '../../store/errors.ts';
import { keysOf } from '../../store/keys.ts';
import { toRecord } from './record.ts';
import type { DurableRecord, DurableState } from './types.ts';

export interface DurableQuery {
  functionName?: string;
  state?: DurableState;
  /** Dead letters only: those that failed or expired, and nobody has redriven or purged. */
  dead?: boolean;
  /** 1 to 1000. */
  limit: number;
  /** An id: only older ones. */
  before?: string;
}

/** Records looked at for one page; what is rare gives short pages with a cursor instead of a long wait. */
const SCAN_MAX = 5000;
const CHUNK = 200;

/** `cursor` is null on the last page. A page may be short although there is another. */
export async function listDurable(
  redis: Redis,
  namespace: string | undefined,
  { functionName, state, dead = false, limit, before }: DurableQuery,
): Promise<{ records: DurableRecord[]; cursor: string | null }> {
  const { root } = keysOf(namespace);
  const index = `${root}:${dead ? 'dead' : 'calls'}${functionName === undefined ? '' : `:${functionName}`}`;
  const records: DurableRecord[] = [];
  let cursor = before ?? null;
  for (let scanned = 0; scanned < SCAN_MAX; scanned += CHUNK) {
    const ids = await withStore('list invocations', () => (dead ? deadBefore : idsBefore)(redis, index, cursor));
    for (const record of await readAll(redis, root, ids)) {
      cursor = record.id;
      if (state === undefined || record.state === state) records.push(record);
      if (records.length === limit) return { records, cursor };
    }
    if (ids.length < CHUNK) return { records, cursor: null };
    cursor = ids.at(-1) ?? null;
  }
  return { records, cursor };
}

const idsBefore = (redis: Redis, index: string, cursor: string | null) =>
  redis.zrange(index, cursor === null ? '+' : `(${cursor}`, '-', 'BYLEX', 'REV', 'LIMIT', 0, CHUNK);

/** By when they ended. */
async function deadBefore(redis: Redis, index: string, cursor: string | null): Promise<string[]> {
  const rank = cursor === null ? -1 : await redis.zrevrank(index, cursor);
  if (rank === null) return [];
  return redis.zrange(index, String(rank + 1), String(rank + CHUNK), 'REV');
}

async function readAll(redis: Redis, root: string, ids: string[]): Promise<DurableRecord[]> {
  if (ids.length === 0) return [];
  const pipeline = redis.pipeline();
  for (const id of ids) {
    pipeline.hgetall(`${root}:call:${id}`);
    pipeline.lrange(`${root}:call:${id}:timeline`, 0, -1);
  }
  const answers = await withStore('list invocations', async () => (await pipeline.exec()) ?? []);
  return ids.flatMap((id, at) => {
    const hash = (answers[at * 2]?.[1] ?? {}) as Record<string, string>;
    const timeline = (answers[at * 2 + 1]?.[1] ?? []) as string[];
    return toRecord(id, hash, timeline) ?? []; // forgotten since its index was read
  });
}
