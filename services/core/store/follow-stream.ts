/** Reading a Redis stream from its end, and following it. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { blockingConnection } from './connect.ts';

export type StreamEntry = [id: string, fields: string[]];

const CHUNK = 500;
const BLOCK_MS = 5_000;
const RETRY_MS = 250;

/** From `to` back to `from`, newest first; a few of many cost little. */
export async function* readStream(redis: Redis, key: string, from: string, to: string): AsyncGenerator<StreamEntry> {
  for (let end = to; ; ) {
    const entries = await redis.xrevrange(key, end, from, 'COUNT', CHUNK);
    yield* entries;
    const oldest = entries.at(-1);
    if (oldest === undefined || entries.length < CHUNK) return;
    end = `(${oldest[0]}`;
  }
}

/** `0-0` when it is empty. */
export async function lastStreamId(redis: Redis, key: string): Promise<string> {
  const [entry] = await redis.xrevrange(key, '+', '-', 'COUNT', 1);
  return entry?.[0] ?? '0-0';
}

/**
 * Every entry behind `last` as it comes, on a connection of its own, until `signal` aborts, which
 * ends it without an error. Outlives a restart of Redis.
 */
export async function* followStream(
  redis: Redis,
  key: string,
  last: string,
  signal: AbortSignal,
): AsyncGenerator<StreamEntry, void, undefined> {
  let connection = blockingConnection(redis);
  const hangUp = () => connection.disconnect();
  signal.addEventListener('abort', hangUp);
  let cursor = last;
  try {
    while (!signal.aborted) {
      let entries: StreamEntry[];
      try {
        entries = await nextEntries(connection, key, cursor);
      } catch {
        // Redis is away or the follower is: the client of this connection has logged the first, the loop ends on the second.
        hangUp();
        await delay(RETRY_MS, undefined, { signal }).catch(() => {});
        connection = blockingConnection(redis);
        continue;
      }
      for (const entry of entries) {
        cursor = entry[0];
        yield entry;
      }
    }
  } finally {
    signal.removeEventListener('abort', hangUp);
    hangUp();
  }
}

async function nextEntries(connection: Redis, key: string, cursor: string): Promise<StreamEntry[]> {
  if (connection.status === 'wait') await connection.connect();
  const reply = await connection.xread('COUNT', CHUNK, 'BLOCK', BLOCK_MS, 'STREAMS', key, cursor);
  return reply?.[0]?.[1] ?? [];
}
