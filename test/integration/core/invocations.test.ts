import { once } from 'node:events';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createFunctionStore } from '../../../services/core/functions/registry.ts';
import { newInvocationId } from '../../../services/core/ids.ts';
import { createInvocationStore, type InvocationStoreOptions } from '../../../services/core/invocations/records.ts';
import type { InvocationRecord, Outcome, Receipt } from '../../../services/core/invocations/types.ts';
import { connectRedis } from '../../../services/core/store/connect.ts';
import { keysOf } from '../../../services/core/store/keys.ts';
import { eventually, silentLog, startTestRedis, type TestRedis } from '../../helpers/redis.ts';

let redis: TestRedis;

beforeAll(async () => {
  redis = await startTestRedis();
});
afterAll(() => redis?.close());
beforeEach(() => redis.connection.redis.flushall());

const open = (options: Partial<InvocationStoreOptions> = {}) =>
  createInvocationStore(redis.connection.redis, { log: silentLog, ...options });

const failed: Outcome = { kind: 'function_error', message: 'no', errorType: 'TypeError', stack: 'at x' };

const record = (functionName: string, startedAt: number, outcome: Outcome = { kind: 'ok' }): InvocationRecord => ({
  id: newInvocationId(startedAt),
  functionName,
  version: 1,
  trigger: 'invoke',
  startedAt,
  durationMs: 1.5,
  outcome,
  receipt: {
    start: 'warm',
    phases: { queue: 0, sandbox: 0, attach: 0, boot: 0, init: 0, handler: 1.5 },
    instanceId: 'i-1',
  },
  bytesOut: 3,
});

describe('createInvocationStore()', () => {
  test('get() gives what was recorded a moment before, whole', async () => {
    const store = open();
    const one = record('hello', Date.now(), failed);
    store.record(one);
    expect(await store.get(one.id)).toEqual(one);
  });

  test('records arrive without a read or flush', async () => {
    const one = record('hello', Date.now());
    open().record(one);
    const { redis: direct } = redis.connection;
    expect(await eventually('the record', () => direct.get(keysOf().invocation(one.id)))).toContain(one.id);
  });

  test.each(['nope', newInvocationId(), '../x', ''])('get(%j) is invocation_not_found', async (id) => {
    await expect(open().get(id)).rejects.toMatchObject({ code: 'invocation_not_found' });
  });

  test('list() pages through all, newest first, each once', async () => {
    const store = open();
    const now = Date.now();
    const records = Array.from({ length: 25 }, (_, index) => record(index % 2 ? 'odd' : 'even', now - index));
    for (const one of [...records].reverse()) store.record(one);
    const seen: InvocationRecord[] = [];
    let cursor: string | null = null;
    do {
      const page = await store.list({ limit: 10, ...(cursor !== null && { cursor }) });
      expect(page.records.length).toBeLessThanOrEqual(10);
      seen.push(...page.records);
      cursor = page.cursor;
    } while (cursor !== null);
    expect(seen).toEqual(records);
  });

  test('list() by function and by outcome', async () => {
    const store = open();
    const now = Date.now();
    const records = Array.from({ length: 60 }, (_, index) =>
      record(index % 2 ? 'odd' : 'even', now - index, index % 10 === 3 ? failed : { kind: 'ok' }),
    );
    for (const one of records) store.record(one);
    const odd = await store.list({ functionName: 'odd', limit: 100 });
    expect(odd.records).toEqual(records.filter(({ functionName }) => functionName === 'odd'));
    const errors = await store.list({ functionName: 'odd', outcome: 'function_error', limit: 4 });
    expect(errors.records).toEqual(records.filter(({ outcome }) => outcome.kind !== 'ok').slice(0, 4));
    const rest = await store.list({
      functionName: 'odd',
      outcome: 'function_error',
      limit: 4,
      cursor: errors.cursor ?? '',
    });
    expect(rest).toEqual({ records: records.filter(({ outcome }) => outcome.kind !== 'ok').slice(4), cursor: null });
    expect(await store.list({ functionName: 'nobody', limit: 5 })).toEqual({ records: [], cursor: null });
  });

  test('a cursor that is none is invalid_request', async () => {
    await expect(open().list({ limit: 1, cursor: '[x' })).rejects.toMatchObject({ code: 'invalid_request' });
  });

  test('keeps the newest so many of each function, and nothing of the others', async () => {
    const store = open({ keepPerFunction: 10 });
    const now = Date.now();
    const records = Array.from({ length: 35 }, (_, index) => record('busy', now - 100 + index));
    const quiet = record('quiet', now - 1000);
    store.record(quiet);
    for (const one of records) store.record(one);
    const { records: kept } = await store.list({ limit: 100 });
    expect(kept).toEqual([...records.slice(25).reverse(), quiet]);
    await expect(store.get(records[0]!.id)).rejects.toMatchObject({ code: 'invocation_not_found' });
    const { redis: direct } = redis.connection;
    expect(await direct.keys('wafer:{default}:inv:*')).toHaveLength(11);
  });

  test('forgets what is older than the time it keeps', async () => {
    let now = Date.now();
    const store = open({ keepMs: 60_000, now: () => now });
    const old = record('hello', now);
    store.record(old);
    await store.flush();
    const { redis: direct } = redis.connection;
    expect(await direct.ttl(keysOf().invocation(old.id))).toBeLessThanOrEqual(60);
    now += 61_000;
    const young = record('hello', now);
    store.record(young);
    expect((await store.list({ limit: 10 })).records).toEqual([young]);
    expect(await direct.zcard(keysOf().invocations)).toBe(1);
  });

  test('starts() has the calls that waited for a start, newest first, however many came after them', async () => {
    const store = open({ keepPerFunction: 5 });
    const started = (at: number, functionName = 'hello'): InvocationRecord => {
      const one = record(functionName, at);
      return { ...one, receipt: { ...(one.receipt as Receipt), start: 'cold', cause: 'idle', noBlank: 'none_ready' } };
    };
    const [first, second] = [started(1000), started(2000)];
    store.record(first);
    for (let at = 1001; at < 1050; at++) store.record(record('hello', at));
    store.record(second);
    store.record(started(3000, 'other'));
    for (let at = 2001; at < 2050; at++) store.record(record('hello', at));
    expect(await store.starts('hello')).toEqual([second, first]);
    expect(await store.starts('nothing')).toEqual([]);
  });

  test('starts() has the newest 100, for a week, and not those of a function that was removed', async () => {
    const store = open();
    const { redis: direct } = redis.connection;
    for (let at = 0; at < 130; at++) {
      const one = record('hello', 1000 + at);
      store.record({ ...one, receipt: { ...(one.receipt as Receipt), start: 'blank' } });
    }
    const starts = await store.starts('hello');
    expect([starts.length, starts[0]?.startedAt, starts.at(-1)?.startedAt]).toEqual([100, 1129, 1030]);
    expect(await direct.ttl(keysOf().starts('hello'))).toBeGreaterThan(6 * 86_400);
    const functions = createFunctionStore(direct);
    const config = {} as Parameters<typeof functions.publish>[0]['config'];
    await functions.publish({ functionName: 'hello', image: 'i', base: 'b', config, codeBytes: 0, addedBytes: 0 });
    await functions.remove('hello');
    expect(await store.starts('hello')).toEqual([]);
  });

  test('a huge message and stack of a guest are cut', async () => {
    const store = open();
    const huge = 'x'.repeat(1_000_000);
    const one = record('hello', Date.now(), { kind: 'function_error', message: huge, stack: huge });
    store.record(one);
    expect(JSON.stringify(await store.get(one.id)).length).toBeLessThan(25_000);
  });

  test('remove() of a function takes its index, and its records stay readable by id', async () => {
    const store = open();
    const functions = createFunctionStore(redis.connection.redis);
    const config = {} as Parameters<typeof functions.publish>[0]['config'];
    await functions.publish({ functionName: 'hello', image: 'i', base: 'b', config, codeBytes: 0, addedBytes: 0 });
    const one = record('hello', Date.now());
    store.record(one);
    await store.flush();
    await functions.remove('hello');
    expect((await store.list({ functionName: 'hello', limit: 5 })).records).toEqual([]);
    expect(await store.get(one.id)).toEqual(one);
  });

  test('record() never throws while Redis is away; the records come when it is back', async () => {
    const address = { socketPath: redis.server.socketPath };
    const { redis: client, close } = await connectRedis({ address, log: silentLog });
    const store = createInvocationStore(client, { log: silentLog });
    const ended = once(client, 'end');
    client.disconnect();
    await ended;
    const one = record('hello', Date.now());
    store.record(one);
    await expect(store.get(one.id)).rejects.toMatchObject({ code: 'store_unavailable' });
    await client.connect();
    expect(await eventually('the record', () => store.get(one.id).catch(() => null))).toEqual(one);
    await close();
  });
});
