import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createFunctionStore } from '../../../services/core/functions/registry.ts';
import type { FunctionStore } from '../../../services/core/functions/types.ts';
import { connectRedis } from '../../../services/core/store/connect.ts';
import { keysOf } from '../../../services/core/store/keys.ts';
import { silentLog, startTestRedis, type TestRedis } from '../../helpers/redis.ts';

let redis: TestRedis;
let functions: FunctionStore;

const version = (functionName: string, image = 'sha256:00') => ({
  functionName,
  image,
  base: 'node24',
  config: {
    runtime: 'node' as const,
    base: 'node24',
    handler: 'index.handler',
    command: [],
    env: { GREETING: 'grüß "dich"\n' },
    timeoutMs: 30_000,
    memoryMb: 256,
    tmpMb: 64,
    concurrency: 1,
    minInstances: 0,
    reuse: true,
  },
  codeBytes: 10,
  addedBytes: 20,
});

beforeAll(async () => {
  redis = await startTestRedis();
  functions = createFunctionStore(redis.connection.redis);
});
afterAll(() => redis?.close());
beforeEach(() => redis.connection.redis.flushall());

describe('publish()', () => {
  test('gives version 1, then 2, moves live, and keeps every setting as it was', async () => {
    const first = await functions.publish(version('hello', 'sha256:01'));
    const second = await functions.publish(version('hello', 'sha256:02'));
    expect([first.number, second.number]).toEqual([1, 2]);
    expect(first.config).toEqual(version('hello').config);
    expect(await functions.resolve('hello')).toEqual(second);
    expect(await functions.resolve('hello', { version: 1 })).toEqual(first);
    expect(await functions.get('hello')).toEqual({
      name: 'hello',
      createdAt: first.createdAt,
      latest: 2,
      aliases: { live: 2 },
    });
    expect(await functions.versions('hello')).toEqual([second, first]);
  });

  test('two concurrent publishes over two connections give two numbers and one live', async () => {
    const address = { socketPath: redis.server.socketPath };
    const other = await connectRedis({ address, log: silentLog });
    const stores = [functions, createFunctionStore(other.redis)];
    const published = await Promise.all(
      Array.from({ length: 40 }, (_, index) => stores[index % 2]!.publish(version('hello', `sha256:${index}`))),
    );
    await other.close();
    expect(new Set(published.map(({ number }) => number)).size).toBe(40);
    const live = await functions.resolve('hello');
    expect(live).toEqual(published.find(({ number }) => number === 40));
    expect(await functions.versions('hello')).toHaveLength(40);
  });

  test('never gives a number twice, also after the function was removed', async () => {
    await functions.publish(version('hello'));
    await functions.publish(version('hello'));
    await functions.remove('hello');
    expect((await functions.publish(version('hello'))).number).toBe(3);
    await expect(functions.resolve('hello', { version: 1 })).rejects.toMatchObject({ code: 'version_not_found' });
  });

  test('a number that a caller left in the object does not win', async () => {
    const stray = { ...version('hello'), number: 99 };
    expect((await functions.publish(stray)).number).toBe(1);
    expect((await functions.resolve('hello')).number).toBe(1);
  });

  test.each(['', 'Hello', '-a', 'a/b', 'a'.repeat(64), 'a\n', '../x'])('refuses the name %j', async (name) => {
    await expect(functions.publish(version(name))).rejects.toMatchObject({ code: 'invalid_name' });
    expect(await redis.connection.redis.dbsize()).toBe(0);
  });
});

describe('setAlias()', () => {
  test('moves live back to an older version', async () => {
    const first = await functions.publish(version('hello'));
    await functions.publish(version('hello'));
    const record = await functions.setAlias('hello', 'live', 1);
    expect(record).toMatchObject({ name: 'hello', latest: 2, aliases: { live: 1 } });
    expect(await functions.resolve('hello')).toEqual(first);
  });

  test('makes a new alias that resolve() finds', async () => {
    await functions.publish(version('hello'));
    await functions.publish(version('hello'));
    await functions.setAlias('hello', 'stable', 1);
    expect((await functions.resolve('hello', { alias: 'stable' })).number).toBe(1);
  });

  test('refuses a version that does not exist, and says which do', async () => {
    await functions.publish(version('hello'));
    await expect(functions.setAlias('hello', 'live', 7)).rejects.toMatchObject({
      code: 'version_not_found',
      hint: 'There are: 1.',
    });
    expect((await functions.get('hello')).aliases).toEqual({ live: 1 });
  });

  test.each(['7', 'Live', 'a b', ''])('refuses the alias %j', async (alias) => {
    await functions.publish(version('hello'));
    await expect(functions.setAlias('hello', alias, 1)).rejects.toMatchObject({ code: 'invalid_name' });
  });
});

describe('what is not there', () => {
  test('an unknown function is function_not_found with the nearest name', async () => {
    await functions.publish(version('thumbnail'));
    const wanted = { code: 'function_not_found', hint: 'Did you mean "thumbnail"?' };
    await expect(functions.get('thumbnial')).rejects.toMatchObject(wanted);
    await expect(functions.resolve('thumbnial')).rejects.toMatchObject(wanted);
    await expect(functions.versions('thumbnial')).rejects.toMatchObject(wanted);
    await expect(functions.remove('thumbnial')).rejects.toMatchObject(wanted);
    await expect(functions.setAlias('thumbnial', 'live', 1)).rejects.toMatchObject(wanted);
  });

  test('an unknown alias or version says which there are', async () => {
    await functions.publish(version('hello'));
    await expect(functions.resolve('hello', { alias: 'beta' })).rejects.toMatchObject({
      code: 'alias_not_found',
      hint: 'There are: live.',
    });
    await expect(functions.resolve('hello', { version: 2 })).rejects.toMatchObject({
      code: 'version_not_found',
      hint: 'There are: 1.',
    });
  });

  test('a name that is no name reaches no key', async () => {
    await expect(functions.get('hello:aliases')).rejects.toMatchObject({ code: 'function_not_found' });
    await expect(functions.resolve('hello}:x')).rejects.toMatchObject({ code: 'function_not_found' });
  });
});

test('list() is in order of names, and remove() leaves nothing but the counter', async () => {
  await functions.publish(version('zebra'));
  await functions.publish(version('apple'));
  expect((await functions.list()).map(({ name }) => name)).toEqual(['apple', 'zebra']);
  await functions.remove('zebra');
  await functions.remove('apple');
  expect(await functions.list()).toEqual([]);
  expect(await redis.connection.redis.keys('*')).toEqual([keysOf().counters]);
});

test('two namespaces see nothing of each other', async () => {
  const other = createFunctionStore(redis.connection.redis, { namespace: 'other' });
  await functions.publish(version('hello'));
  expect(await other.list()).toEqual([]);
  expect((await other.publish(version('hello'))).number).toBe(1);
});
