import { once } from 'node:events';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { newInvocationId } from '../../../services/core/ids.ts';
import { createLogStore, type LogStoreOptions } from '../../../services/core/invocations/logs.ts';
import { createInvocationStore } from '../../../services/core/invocations/records.ts';
import type { LogLine } from '../../../services/core/invocations/types.ts';
import { connectRedis } from '../../../services/core/store/connect.ts';
import { keysOf } from '../../../services/core/store/keys.ts';
import { eventually, silentLog, startTestRedis, type TestRedis } from '../../helpers/redis.ts';

let redis: TestRedis;

beforeAll(async () => {
  redis = await startTestRedis();
});
afterAll(() => redis?.close());
beforeEach(() => redis.connection.redis.flushall());

const open = (options: Partial<LogStoreOptions> = {}) =>
  createLogStore(redis.connection.redis, { log: silentLog, ...options });

const line = (text: string, more: Partial<LogLine> = {}): LogLine => ({
  time: Date.now(),
  functionName: 'hello',
  version: 1,
  instanceId: 'i-1',
  stream: 'stdout',
  text,
  ...more,
});

const texts = (lines: { text: string }[]) => lines.map(({ text }) => text);

/** Follows until `stop()`; `seen` grows. */
function follow(store: ReturnType<typeof open>, query: Parameters<typeof store.follow>[0]) {
  const controller = new AbortController();
  const seen: string[] = [];
  const run = async () => {
    for await (const { text } of store.follow(query, controller.signal)) seen.push(text);
  };
  const done = run();
  const stop = async () => {
    controller.abort();
    await done;
  };
  return { seen, stop };
}

const followers = async () => {
  const list = String(await redis.connection.redis.client('LIST'));
  return list.split('\n').filter((client) => client.includes('cmd=xread')).length;
};

describe('read()', () => {
  test('gives every line that was written before it, as it was, oldest first', async () => {
    const store = open();
    const lines = [
      line('plain'),
      line('grüß\u0000dich\n', { stream: 'stderr', invocationId: newInvocationId() }),
      line('', { stream: 'platform', version: 2 }),
    ];
    for (const one of lines) store.write(one);
    const found = await store.read({ functionName: 'hello' });
    expect(found.map(({ cursor: _, ...rest }) => rest)).toEqual(lines);
  });

  test('filters by function, invocation and time', async () => {
    const store = open();
    const invocationId = newInvocationId();
    store.write(line('old', { time: 1000 }));
    store.write(line('mine', { invocationId }));
    store.write(line('other', { invocationId: newInvocationId() }));
    store.write(line('elsewhere', { functionName: 'bye' }));
    expect(texts(await store.read({ functionName: 'hello', invocationId }))).toEqual(['mine']);
    expect(texts(await store.read({ functionName: 'hello', since: 2000 }))).toEqual(['mine', 'other']);
    expect(texts(await store.read({ functionName: 'bye' }))).toEqual(['elsewhere']);
  });

  test('the newest so many, and what comes behind a cursor', async () => {
    const store = open();
    for (let index = 0; index < 1300; index++)
      store.write(line(`${index}`, { functionName: index % 2 ? 'odd' : 'even' }));
    expect(await store.read({ functionName: 'odd' })).toHaveLength(650);
    const last = await store.read({ functionName: 'odd', limit: 3 });
    expect(texts(last)).toEqual(['1295', '1297', '1299']);
    expect(texts(await store.read({ functionName: 'odd', after: last[0]!.cursor }))).toEqual(['1297', '1299']);
    await expect(store.read({ functionName: 'odd', after: '+' })).rejects.toMatchObject({ code: 'invalid_request' });
  });

  test('the invocation alone is enough once its call has ended', async () => {
    const store = open();
    const id = newInvocationId();
    store.write(line('mine', { invocationId: id }));
    await expect(store.read({ invocationId: id })).rejects.toMatchObject({ code: 'invocation_not_found' });
    const invocations = createInvocationStore(redis.connection.redis, { log: silentLog });
    invocations.record({
      ...{ id, functionName: 'hello', version: 1, trigger: 'invoke', startedAt: Date.now(), durationMs: 1 },
      ...{ outcome: { kind: 'ok' }, receipt: null, bytesOut: 0 },
    });
    await invocations.flush();
    expect(texts(await store.read({ invocationId: id }))).toEqual(['mine']);
  });
});

describe('limits', () => {
  test('a line is cut at its limit, with a mark', async () => {
    const store = open();
    store.write(line('x'.repeat(100_000)));
    const [found] = await store.read({ functionName: 'hello' });
    expect(found?.text).toBe(`${'x'.repeat(65_536)}… (34464 bytes cut)`);
  });

  test('a stream keeps about its newest lines and goes away in the end', async () => {
    const store = open({ limits: { linesPerFunction: 200 } });
    for (let index = 0; index < 2000; index++) store.write(line(`${index}`));
    const found = texts(await store.read({ functionName: 'hello' }));
    expect(found.at(-1)).toBe('1999');
    expect(found.length).toBeGreaterThanOrEqual(200);
    expect(found.length).toBeLessThan(400);
    expect(await redis.connection.redis.ttl(keysOf().logs('hello'))).toBeGreaterThan(0);
  });

  test('long lines do not fill Redis: a stream has a limit in bytes too', async () => {
    const store = open({ limits: { bytesPerFunction: 1_000_000 } });
    for (let index = 0; index < 200; index++) store.write(line(`${index} ${'x'.repeat(60_000)}`));
    const found = await store.read({ functionName: 'hello' });
    expect(found.at(-1)?.text.startsWith('199 ')).toBe(true);
    expect(found.length).toBeGreaterThan(3);
    const bytes = await redis.connection.redis.memory('USAGE', keysOf().logs('hello'), 'SAMPLES', 0);
    expect(bytes).toBeLessThan(1_000_000);
  });

  test('a stream loses lines that are too old, also while new ones come, and none is read that is', async () => {
    const store = open({ limits: { keepMs: 3_600_000 } });
    store.write(line('new'));
    await store.flush();
    const key = keysOf().logs('hello');
    const [entry] = await redis.connection.redis.xrange(key, '-', '+');
    const old = ['t', '1', 'v', '1', 'i', 'i-1', 'c', '', 's', 'o', 'x', 'old'];
    await redis.connection.redis.del(key);
    await redis.connection.redis.xadd(key, String(Date.now() - 3_700_000), ...old);
    await redis.connection.redis.xadd(key, '*', ...(entry?.[1] ?? []));
    expect(texts(await store.read({ functionName: 'hello' }))).toEqual(['new']);
    store.write(line('newer'));
    await store.flush();
    expect(await redis.connection.redis.xlen(key)).toBe(2);
    expect(await redis.connection.redis.pttl(key)).toBeGreaterThan(3_500_000);
  });

  test('filters by text in any case, stream, and level of lines that are JSON', async () => {
    const store = open();
    store.write(line('Connection TIMEOUT of db'));
    store.write(line('(a+)+$ is no pattern', { stream: 'stderr' }));
    store.write(line('{"level":40,"msg":"slow timeout","ms":812,"time":1}'));
    store.write(line('{"severity":"INFO","message":"fine"}'));
    store.write(line('{"level":"error" broken'));
    store.write(line('{"level":"error","msg":"not a guest"}', { stream: 'platform' }));
    const read = async (query: object) => texts(await store.read({ functionName: 'hello', ...query }));
    expect(await read({ grep: 'timeout' })).toHaveLength(2);
    expect(await read({ grep: '(A+)+$' })).toEqual(['(a+)+$ is no pattern']);
    expect(await read({ stream: 'stderr' })).toEqual(['(a+)+$ is no pattern']);
    expect(await read({ level: 'warn' })).toEqual(['{"level":40,"msg":"slow timeout","ms":812,"time":1}']);
    expect(await read({ level: 'info', limit: 1 })).toEqual(['{"severity":"INFO","message":"fine"}']);
    const [first] = await store.read({ functionName: 'hello', level: 'warn' });
    expect(first).toMatchObject({ level: 'warn', message: 'slow timeout', fields: { ms: 812 } });
  });

  test('what comes too fast is dropped, counted, and marked where it is missing', async () => {
    let dropped = 0;
    const store = open({
      limits: { maxPendingItems: 100 },
      onDrop: (count) => {
        dropped += count;
      },
    });
    for (let index = 0; index < 250; index++) store.write(line(`${index}`));
    await store.flush();
    const found = await eventually('the mark', async () => {
      const lines = await store.read({ functionName: 'hello' });
      return lines.some(({ stream }) => stream === 'platform') ? lines : null;
    });
    store.write(line('after'));
    expect(dropped).toBe(150);
    expect(texts(found.slice(98))).toEqual([
      '98',
      '99',
      '150 log lines dropped: output came faster than it could be stored',
    ]);
    expect(texts(await store.read({ functionName: 'hello', limit: 1 }))).toEqual(['after']);
  });

  test('write() neither throws nor keeps more than its limit while Redis is away; lines come when it is back', async () => {
    const address = { socketPath: redis.server.socketPath };
    const { redis: client, close } = await connectRedis({ address, log: silentLog });
    const store = createLogStore(client, { log: silentLog, limits: { maxPendingItems: 10 } });
    const ended = once(client, 'end');
    client.disconnect();
    await ended;
    for (let index = 0; index < 30; index++) store.write(line(`${index}`));
    await expect(store.read({ functionName: 'hello' })).rejects.toMatchObject({ code: 'store_unavailable' });
    await client.connect();
    const lines = await eventually('all lines', async () => {
      const found = await store.read({ functionName: 'hello' }).catch(() => []);
      return found.length === 11 ? found : null;
    });
    expect(lines.at(-1)?.text).toContain('20 log lines dropped');
    await close();
  });
});

describe('follow()', () => {
  test('gives the last lines, then new ones, without a gap or a double', async () => {
    const store = open();
    for (let index = 0; index < 50; index++) store.write(line(`${index}`));
    const { seen, stop } = follow(store, { functionName: 'hello', limit: 10 });
    for (let index = 50; index < 300; index++) {
      store.write(line(`${index}`));
      if (index % 25 === 0) await store.flush();
    }
    await eventually('the last line', () => seen.at(-1) === '299');
    await stop();
    expect(seen).toEqual(Array.from({ length: 300 - Number(seen[0]) }, (_, index) => `${Number(seen[0]) + index}`));
  });

  test('wants only its invocation', async () => {
    const store = open();
    const invocationId = newInvocationId();
    const { seen, stop } = follow(store, { functionName: 'hello', invocationId });
    await eventually('the follower', async () => (await followers()) === 1);
    store.write(line('other'));
    store.write(line('mine', { invocationId }));
    await eventually('a line', () => seen.length > 0);
    await stop();
    expect(seen).toEqual(['mine']);
  });

  test('ends on its signal also while nothing comes, and leaves no connection', async () => {
    const store = open();
    const { stop } = follow(store, { functionName: 'silent' });
    await eventually('the follower', async () => (await followers()) === 1);
    await stop();
    await eventually('the end of its connection', async () => (await followers()) === 0);
    const { seen, stop: stopAgain } = follow(store, { functionName: 'silent' });
    await stopAgain();
    expect(seen).toEqual([]);
  });

  test('does not hold up readers and writers of the same connection', async () => {
    const store = open();
    const { stop } = follow(store, { functionName: 'silent' });
    await eventually('the follower', async () => (await followers()) === 1);
    store.write(line('x'));
    expect(await store.read({ functionName: 'hello' })).toHaveLength(1);
    await stop();
  });

  test('goes on after Redis was killed and started again', async () => {
    const store = open();
    const { seen, stop } = follow(store, { functionName: 'hello' });
    store.write(line('before'));
    await eventually('the first line', () => seen.length === 1);
    process.kill(redis.server.pid(), 'SIGKILL');
    await eventually('Redis', () => redis.connection.redis.ping().catch(() => null));
    store.write(line('after'));
    await eventually('the second line', () => seen.length === 2);
    await stop();
    expect(seen).toEqual(['before', 'after']);
  });
});
