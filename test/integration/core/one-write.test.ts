import { execFileSync } from 'node:child_process';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { inOneWrite } from '../../../services/core/store/one-write.ts';
import { eventually, startTestRedis, type TestRedis } from '../../helpers/redis.ts';

let server: TestRedis;
let redis: Redis;
beforeAll(async () => {
  server = await startTestRedis();
  redis = server.connection.redis;
});
afterAll(() => server.close());

/** What another client sees now; this process does nothing else meanwhile. */
const seenByOthers = (key: string) =>
  execFileSync('redis-cli', ['-s', server.server.socketPath, 'GET', key], { encoding: 'utf8' }).trim();

it('what is sent in one turn of the loop leaves at its end, with what its promises send, in its order', async () => {
  inOneWrite(redis);
  const answers = [redis.incr('n')];
  expect(seenByOthers('n')).toBe('');
  await Promise.resolve();
  answers.push(redis.incr('n'));
  expect(seenByOthers('n')).toBe('');
  expect(await Promise.all(answers)).toEqual([1, 2]);
});

it('what is sent in the next turn is not held back', async () => {
  inOneWrite(redis);
  await redis.set('a', '1');
  const answer = redis.set('a', '2');
  expect(seenByOthers('a')).toBe('2');
  await answer;
});

it('what is sent while there is no connection fails as ever, and what comes after it is answered', async () => {
  redis.stream.destroy();
  inOneWrite(redis);
  await expect(redis.get('a')).rejects.toThrow();
  expect(await eventually('connected again', () => redis.get('a').catch(() => null))).toBe('2');
});
