import type { Redis } from 'ioredis';
import { withStore } from '../../store/errors.ts';

/** Of an unknown id the hash is empty. */
export async function readHash(
  redis: Redis,
  root: string,
  id: string,
): Promise<{ hash: Record<string, string>; timeline: string[] }> {
  const key = `${root}:call:${id}`;
  const [hash, timeline] = await withStore('read an invocation', () =>
    Promise.all([redis.hgetall(key), redis.lrange(`${key}:timeline`, 0, -1)]),
  );
  return { hash, timeline };
}
