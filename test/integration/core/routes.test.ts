import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createFunctionStore } from '../../../services/core/functions/registry.ts';
import { MAX_AGE_MS, withRoutes } from '../../../services/core/functions/routes.ts';
import type { FunctionStore } from '../../../services/core/functions/types.ts';
import { startTestRedis, type TestRedis } from '../../helpers/redis.ts';

let redis: TestRedis;
let store: FunctionStore;
/** Lookups that reached Redis. */
let asked = 0;
/** Waited for by each lookup, after Redis has answered it. */
let gate: Promise<void> = Promise.resolve();
let clock = 0;

const version = (functionName: string) => ({
  functionName,
  image: 'sha256:00',
  base: 'node24',
  config: { runtime: 'node', env: { A: 'b' } } as never,
  codeBytes: 1,
  addedBytes: 1,
});
const routes = (capacity?: number) =>
  withRoutes(store, { now: () => clock, ...(capacity === undefined ? {} : { capacity }) });

/** Until `open` is called. */
function closeGate(): () => void {
  let open = () => {};
  gate = new Promise((resolve) => {
    open = resolve;
  });
  return open;
}

beforeAll(async () => {
  redis = await startTestRedis();
  const real = createFunctionStore(redis.connection.redis);
  store = {
    ...real,
    resolve: async (...args) => {
      asked++;
      const found = await real.resolve(...args);
      await gate;
      return found;
    },
  };
});
afterAll(() => redis?.close());
beforeEach(async () => {
  await redis.connection.redis.flushall();
  asked = 0;
  clock = 0;
  gate = Promise.resolve();
});

describe('the routes of calls', () => {
  test('ask Redis once for a function that is called again and again', async () => {
    const functions = routes();
    await functions.publish(version('hello'));
    const found = [];
    for (let call = 0; call < 20; call++) found.push((await functions.resolve('hello')).number);
    expect(found).toEqual(new Array(20).fill(1));
    expect(asked).toBe(1);
  });

  test('never give an old version once a deploy, an alias or a removal was acknowledged', async () => {
    const functions = routes();
    const seen = [];
    for (let round = 1; round <= 3; round++) {
      await functions.publish(version('hello'));
      seen.push((await functions.resolve('hello')).number, (await functions.resolve('hello')).number);
    }
    expect(seen).toEqual([1, 1, 2, 2, 3, 3]);
    await functions.setAlias('hello', 'live', 2);
    expect((await functions.resolve('hello')).number).toBe(2);
    await functions.setAlias('hello', 'stable', 1);
    expect((await functions.resolve('hello', { alias: 'stable' })).number).toBe(1);
    await functions.setAlias('hello', 'stable', 3);
    expect((await functions.resolve('hello', { alias: 'stable' })).number).toBe(3);
    await functions.remove('hello');
    await expect(functions.resolve('hello')).rejects.toMatchObject({ code: 'function_not_found' });
    await expect(functions.resolve('hello', { version: 1 })).rejects.toMatchObject({ code: 'function_not_found' });
  });

  test('do not keep what was asked for before a deploy and answered after it', async () => {
    const functions = routes();
    await functions.publish(version('hello'));
    const open = closeGate();
    const early = functions.resolve('hello');
    while (asked === 0) await new Promise(setImmediate);
    await functions.publish(version('hello'));
    open();
    expect((await early).number).toBeLessThanOrEqual(2);
    expect((await functions.resolve('hello')).number).toBe(2);
    expect(asked).toBe(2);
  });

  test('do not keep what was asked for while a deploy was under way, whether or not it succeeds', async () => {
    let end: (error?: Error) => void = () => {};
    const slow: FunctionStore = {
      ...store,
      setAlias: (...move) =>
        new Promise((resolve, reject) => {
          end = (error) => (error === undefined ? resolve(store.setAlias(...move)) : reject(error));
        }),
    };
    const functions = withRoutes(slow, { now: () => clock });
    await functions.publish(version('hello'));
    await functions.publish(version('hello'));
    for (const error of [undefined, new Error('the answer was lost')]) {
      const before = asked;
      const moving = functions.setAlias('hello', 'live', 1).catch(() => {});
      await functions.resolve('hello');
      await functions.resolve('hello');
      expect(asked).toBe(before + 2);
      end(error);
      await moving;
      await functions.resolve('hello');
      expect((await functions.resolve('hello')).number).toBe(1);
      expect(asked).toBe(before + 3);
    }
  });

  test('see what another process changed when they are as old as the bound', async () => {
    const functions = routes();
    await functions.publish(version('hello'));
    await functions.resolve('hello');
    await store.publish(version('hello'));
    clock = MAX_AGE_MS - 1;
    expect((await functions.resolve('hello')).number).toBe(1);
    clock = MAX_AGE_MS;
    expect((await functions.resolve('hello')).number).toBe(2);
  });

  test('count their age from the question, not from the answer', async () => {
    const functions = routes();
    await functions.publish(version('hello'));
    const open = closeGate();
    const slow = functions.resolve('hello');
    while (asked === 0) await new Promise(setImmediate);
    await store.publish(version('hello'));
    clock = MAX_AGE_MS;
    open();
    await slow;
    expect((await functions.resolve('hello')).number).toBe(2);
  });

  test('are shared by all calls, so nobody can change one', async () => {
    const functions = routes();
    await functions.publish(version('hello'));
    const found = await functions.resolve('hello');
    expect(() => Object.assign(found.config.env, { A: 'changed' })).toThrow(TypeError);
  });

  test('are at most so many, and the ones that nobody asks for any more go first', async () => {
    const functions = routes(2);
    for (const name of ['a', 'b', 'c']) await functions.publish(version(name));
    for (const name of ['a', 'b', 'c']) await functions.resolve(name);
    expect(asked).toBe(3);
    await functions.resolve('c');
    await functions.resolve('b');
    expect(asked).toBe(3);
    await functions.resolve('a');
    expect(asked).toBe(4);
  });
});
