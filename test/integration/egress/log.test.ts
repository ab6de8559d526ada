/** The access log of functions on a real Redis. */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createEgressLog } from '../../../services/core/egress/log.ts';
import type { EgressEntry, EgressLog, StoredEgressEntry } from '../../../services/core/egress/types.ts';
import { createLog } from '../../../services/core/log.ts';
import { keysOf } from '../../../services/core/store/keys.ts';
import { startTestRedis, type TestRedis } from '../../helpers/redis.ts';

let server: TestRedis;
let log: EgressLog;
beforeAll(async () => {
  server = await startTestRedis();
  log = open();
});
afterAll(() => server?.close());
afterEach(() => server.connection.redis.flushall());

const open = (limits = {}) =>
  createEgressLog(server.connection.redis, { log: createLog({ level: 'silent' }), limits: { flushMs: 10, ...limits } });

const entry = (more: Partial<EgressEntry> = {}): EgressEntry => ({
  time: Date.now(),
  functionName: 'f',
  version: 1,
  instanceId: 'i',
  host: 'a.example',
  address: '8.8.8.8',
  port: 443,
  verdict: 'allowed',
  reason: 'rule',
  bytesUp: 1,
  bytesDown: 2,
  durationMs: 5,
  count: 1,
  ...more,
});
const portsOf = (found: readonly EgressEntry[]) => found.map(({ port }) => port);

describe('read', () => {
  it('gives what was written before, oldest first, of all functions or of one', async () => {
    const written = entry({ port: 1 });
    log.write(written);
    log.write(entry({ port: 2, functionName: 'g', verdict: 'denied' }));
    log.write(entry({ port: 3 }));
    const all = await log.read({});
    expect(portsOf(all)).toEqual([1, 2, 3]);
    expect(all[0]).toEqual({ ...written, cursor: expect.stringMatching(/^\d+-\d+$/) });
    expect(portsOf(await log.read({ functionName: 'f' }))).toEqual([1, 3]);
    expect(portsOf(await log.read({ verdict: 'denied' }))).toEqual([2]);
    expect(portsOf(await log.read({ limit: 2 }))).toEqual([2, 3]);
    expect(portsOf(await log.read({ after: all[0]?.cursor ?? '' }))).toEqual([2, 3]);
    expect(await log.read({ functionName: 'nobody' })).toEqual([]);
  });

  it('leaves out what is older than `since`', async () => {
    log.write(entry({ port: 1, time: Date.now() - 50_000 }));
    log.write(entry({ port: 2 }));
    expect(portsOf(await log.read({ since: Date.now() - 20_000 }))).toEqual([2]);
  });

  it('refuses a cursor that is none', async () => {
    await expect(log.read({ after: 'x' })).rejects.toMatchObject({ code: 'invalid_request' });
  });

  it('has equal ones of a moment as one', async () => {
    for (let i = 0; i < 1_000; i++) log.write(entry({ verdict: 'denied', time: i }));
    const found = await log.read({});
    expect(found.reduce((sum, { count }) => sum + count, 0)).toBe(1_000);
    expect(found.length).toBeLessThan(10);
  });
});

describe('what is kept', () => {
  it('of a function that is loud does not take away what is kept of another', async () => {
    const small = open({ entries: 200, entriesPerFunction: 200 });
    small.write(entry({ functionName: 'quiet' }));
    await small.flush();
    for (let i = 0; i < 50; i++) {
      for (let port = 1; port <= 40; port++) small.write(entry({ functionName: 'loud', port }));
      await small.flush();
    }
    expect(await server.connection.redis.xlen(keysOf().egressOf('loud'))).toBeLessThan(500);
    expect(await server.connection.redis.xlen(keysOf().egress)).toBeLessThan(500);
    expect(await small.read({ functionName: 'quiet' })).toHaveLength(1);
  });

  it('goes after a while', async () => {
    log.write(entry());
    await log.flush();
    for (const key of [keysOf().egress, keysOf().egressOf('f')])
      expect(await server.connection.redis.ttl(key)).toBeGreaterThan(1_000);
  });

  it('is not what is too old, also while new ones come, and none is read that is', async () => {
    const hourly = open({ keepMs: 3_600_000 });
    const keys = [keysOf().egress, keysOf().egressOf('f')];
    const old = ['e', JSON.stringify(entry({ port: 1, time: Date.now() - 3_700_000 }))];
    for (const key of keys) await server.connection.redis.xadd(key, String(Date.now() - 3_700_000), ...old);
    expect(await hourly.read({})).toEqual([]);
    hourly.write(entry({ port: 2 }));
    expect(portsOf(await hourly.read({ functionName: 'f' }))).toEqual([2]);
    for (const key of keys) expect(await server.connection.redis.xlen(key)).toBe(1);
  });
});

it('follow gives what there is, then each new one, until it is told to stop', async () => {
  const stopping = new AbortController();
  log.write(entry({ port: 1 }));
  const found: StoredEgressEntry[] = [];
  let more: () => void = () => {};
  const reading = (async () => {
    for await (const one of log.follow({ functionName: 'f' }, stopping.signal)) {
      found.push(one);
      more();
    }
  })();
  const until = async (count: number) => {
    while (found.length < count) await Promise.race([new Promise<void>((done) => (more = done)), delay(50)]);
  };
  await until(1);
  log.write(entry({ port: 2 }));
  log.write(entry({ port: 9, functionName: 'g' }));
  await until(2);
  log.write(entry({ port: 3 }));
  await until(3);
  stopping.abort();
  await reading;
  expect(portsOf(found)).toEqual([1, 2, 3]);
});
