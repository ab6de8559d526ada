/** Accepted once, run to one outcome. */
import { readdirSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { newInvocationId } from '../../../services/core/ids.ts';
import { countDurable } from '../../../services/core/invocations/durable/counts.ts';
import { forgetStrays } from '../../../services/core/invocations/durable/sweep.ts';
import { eventually } from '../../helpers/redis.ts';
import { type DurableLab, failed, ok, openDurableLab, QUICK } from './lab.ts';

let lab: DurableLab;
beforeEach(async () => {
  lab = await openDurableLab();
});
afterEach(() => lab.close());

const never = new AbortController().signal;
const ended = (id: string) => lab.calls.wait(id, 60_000, never);

describe('an accepted call', () => {
  it('is there at once, runs, and keeps its event, result and timeline', async () => {
    const { id } = await lab.calls.accept(lab.request({ body: Buffer.from('{"a":1}') }));
    expect(await lab.calls.get(id)).toMatchObject({ state: 'queued', attempts: 0, timeline: [{ event: 'accepted' }] });
    lab.work(async ({ event }) => ok(`[${event}]`));
    const record = await ended(id);
    expect(record).toMatchObject({ state: 'succeeded', attempts: 1, outcome: { kind: 'ok' } });
    expect(record.timeline.map(({ event }) => event)).toEqual(['accepted', 'running', 'succeeded']);
    expect(String(await lab.calls.readBody(record, 'result'))).toBe('[{"a":1}]');
    expect(await eventually('an empty queue', async () => (await lab.queue.counts()).running === 0)).toBe(true);
    expect(await lab.queue.counts()).toEqual({ waiting: 0, delayed: 0, running: 0 });
  });

  it('of 5 MB lies in files, not in Redis, and comes through unchanged', async () => {
    const body = Buffer.alloc(5 << 20, 'x');
    const { id } = await lab.calls.accept(lab.request({ body }));
    lab.work(async ({ event }) => ok(String(event.length)));
    const record = await ended(id);
    expect(record.request).not.toHaveProperty('inline');
    expect(String(await lab.calls.readBody(record, 'result'))).toBe(String(body.length));
  });

  it('runs no earlier than it was asked to', async () => {
    const runAt = Date.now() + 400;
    const { id } = await lab.calls.accept(lab.request({ runAt }));
    let at = 0;
    lab.work(async () => {
      at = Date.now();
      return ok('1');
    });
    expect(await ended(id)).toMatchObject({ state: 'succeeded' });
    expect(at).toBeGreaterThanOrEqual(runAt);
  });

  it('that nobody pushed is pushed by the sweep, with its group; what ended meanwhile is not', async () => {
    const ids = await Promise.all([1, 2, 3].map(async () => (await lab.calls.accept(lab.request())).id));
    const { redis } = lab.redis.connection;
    // As after a crash between the two.
    for (const id of ids) expect(await lab.queue.remove(id)).toBe(true);
    const [cancelled = '', ...others] = ids;
    await lab.calls.cancel(cancelled, 'not needed');
    await redis.zadd('wafer:{default}:pushing', String(Date.now() - 60_000), ids.join(' '));
    await lab.sweep.round();
    expect(await lab.queue.counts()).toMatchObject({ waiting: 2 });
    expect(await redis.zscore('wafer:{default}:pushing', ids.join(' '))).toBeNull();
    lab.work(async () => ok('1'));
    for (const id of others) expect(await ended(id)).toMatchObject({ state: 'succeeded' });
  });

  it('is not overtaken by its ticket where Redis does not know our scripts, as after its restart', async () => {
    await lab.redis.connection.redis.script('FLUSH');
    const { lines, stop } = await watchRedis();
    const { id } = await lab.calls.accept(lab.request());
    const written = (key: string) =>
      lines.findIndex((line) => /^(HSET|HMSET) /i.test(line) && line.includes(`:${key} `));
    await eventually('both were seen', async () => written(`call:${id}`) >= 0 && written(`q:calls:${id}`) >= 0);
    stop();
    expect(written(`call:${id}`)).toBeLessThan(written(`q:calls:${id}`));
  });

  it('comes with half of those that came at once: the others are made ready while these are written', async () => {
    const { lines, stop } = await watchRedis();
    await Promise.all(Array.from({ length: 40 }, () => lab.calls.accept(lab.request())));
    const groups = () =>
      lines.filter((line) => /^ZADD \S+:pushing /i.test(line)).map((line) => line.split(' inv_').length - 1);
    await eventually('all were seen', async () => groups().reduce((sum, size) => sum + size, 0) === 40);
    stop();
    expect(groups()).toEqual([20, 20]);
  });

  it('is known to be in the queue when it is', async () => {
    await Promise.all([1, 2, 3].map(() => lab.calls.accept(lab.request())));
    const { redis } = lab.redis.connection;
    const known = async () => (await redis.zcard('wafer:{default}:pushing')) === 0;
    expect(await eventually('no group that waits', known)).toBe(true);
  });

  it('is told to be in the queue with the next one, so that nobody waits for the disk for that', async () => {
    const { lines, stop } = await watchRedis();
    const first = await lab.calls.accept(lab.request());
    const second = await lab.calls.accept(lab.request());
    const seen = (start: string, id: string) =>
      lines.findIndex((line) => line.toUpperCase().startsWith(start) && line.includes(`:pushing`) && line.includes(id));
    await eventually('both were told', async () => seen('ZREM', second.id) >= 0);
    stop();
    expect(seen('ZREM', first.id)).toBeGreaterThan(seen('ZADD', second.id));
    expect(lines.filter((line) => /^zrem /i.test(line) && line.includes(':pushing'))).toHaveLength(2);
  });
});

/** Each command that runs, as a line. */
async function watchRedis() {
  const monitor = await lab.redis.connection.redis.duplicate().monitor();
  const lines: string[] = [];
  monitor.on('monitor', (_time, args: string[]) => lines.push(args.join(' ')));
  return { lines, stop: () => monitor.disconnect() };
}

describe('a body without an invocation', () => {
  it('is removed when it is old; others stay', async () => {
    const body = Buffer.alloc(100_000, 'x');
    const { id } = await lab.calls.accept(lab.request({ body }));
    const stray = newInvocationId(Date.now());
    await lab.bodies.put(stray, 'event', body, 'text/plain');
    const { redis } = lab.redis.connection;
    await forgetStrays(redis, lab.bodies);
    expect(await lab.bodies.read(stray, 'event')).toEqual(body);
    await forgetStrays(redis, lab.bodies, { olderThanMs: -1 });
    await expect(lab.bodies.read(stray, 'event')).rejects.toMatchObject({ code: 'invocation_not_found' });
    expect(await lab.bodies.read(id, 'event')).toEqual(body);
  });
});

describe('a call that fails', () => {
  it('comes again as often as it may, then it is a dead letter', async () => {
    const { id } = await lab.calls.accept(lab.request());
    lab.work(async ({ number }) => failed(`no ${number}`));
    const record = await ended(id);
    expect(record).toMatchObject({ state: 'failed', attempts: 3, outcome: { message: 'no 3' } });
    expect(record.timeline.filter(({ event }) => event === 'attempt_failed').map(({ reason }) => reason)).toEqual([
      'no 1',
      'no 2',
    ]);
    expect(await lab.redis.connection.redis.zrange('wafer:{default}:dead', '0', '-1')).toEqual([id]);
  });

  it('succeeds when a later attempt does', async () => {
    const { id } = await lab.calls.accept(lab.request());
    lab.work(async ({ number }) => (number < 3 ? failed('not yet') : ok('"at last"')));
    expect(await ended(id)).toMatchObject({ state: 'succeeded', attempts: 3 });
  });

  it('whose handler says that it is of no use does not come again', async () => {
    const { id } = await lab.calls.accept(lab.request());
    lab.work(async () => ({ ...failed('never'), final: true }) as never);
    expect(await ended(id)).toMatchObject({ state: 'failed', attempts: 1 });
  });

  it('expires when it is too old', async () => {
    const { id } = await lab.calls.accept(lab.request({ retry: { ...QUICK, maxAgeMs: 1 }, runAt: Date.now() + 50 }));
    lab.work(async () => ok('1'));
    expect(await ended(id)).toMatchObject({ state: 'expired', attempts: 0, outcome: { kind: 'expired' } });
  });
});

describe('an idempotency key', () => {
  it('gives the same call for the same body, also to ten at once, and refuses another body', async () => {
    const same = () => lab.calls.accept(lab.request({ idempotencyKey: 'k', body: Buffer.from('1') }));
    const answers = await Promise.all(Array.from({ length: 10 }, same));
    expect(new Set(answers.map(({ id }) => id)).size).toBe(1);
    expect(answers.filter(({ kind }) => kind === 'accepted')).toHaveLength(1);
    await expect(lab.calls.accept(lab.request({ idempotencyKey: 'k', body: Buffer.from('2') }))).rejects.toMatchObject({
      code: 'idempotency_conflict',
    });
    expect((await lab.queue.counts()).waiting).toBe(1);
  });
});

describe('limits', () => {
  it('of what is pending refuse more, and leave nothing of it', async () => {
    const limits = { pending: 2 };
    await lab.calls.accept(lab.request({ limits }));
    await lab.calls.accept(lab.request({ limits }));
    await expect(lab.calls.accept(lab.request({ limits, body: Buffer.alloc(1 << 20) }))).rejects.toMatchObject({
      code: 'overloaded',
    });
    const { redis } = lab.redis.connection;
    expect(await redis.zcard('wafer:{default}:calls')).toBe(2);
    // No file of a body, and no ticket: all workers may be busy for long.
    expect(readdirSync(lab.dir, { recursive: true }).filter((path) => String(path).includes('inv_'))).toEqual([]);
    expect(await eventually('two tickets', async () => (await lab.queue.counts()).waiting === 2)).toBe(true);
    await expect(lab.calls.accept(lab.request({ limits }))).rejects.toMatchObject({ code: 'overloaded' });
    expect((await lab.queue.counts()).waiting).toBe(2);
  });

  it('are asked of each call of those that come at once', async () => {
    const limits = { pending: 250 };
    const at = (number: number) => lab.calls.accept(lab.request({ limits, functionName: `f${number % 2}` }));
    await lab.calls.accept(lab.request()); // Redis has the script: groups come to it in their order
    const answers = await Promise.allSettled(Array.from({ length: 600 }, (_, number) => at(number)));
    const codes = answers.map((one) => (one.status === 'fulfilled' ? one.value.kind : one.reason.code));
    expect(codes.filter((code) => code === 'accepted')).toHaveLength(500);
    expect(codes.slice(500)).toEqual(new Array(100).fill('overloaded'));
    expect(await eventually('their tickets', async () => (await lab.queue.counts()).waiting === 501)).toBe(true);
    let ran = 0;
    lab.work(async () => ok(String(++ran)));
    expect(await eventually('all have run', () => ran === 501)).toBe(true);
  });

  it('of calls at once hold over two workers, and no call is left behind', async () => {
    let now = 0;
    let most = 0;
    const run = async () => {
      most = Math.max(most, ++now);
      await new Promise((resolve) => setTimeout(resolve, 10));
      now--;
      return ok('1');
    };
    lab.work(run);
    lab.work(run);
    const limits = { pending: 100, concurrency: 2 };
    const all = await Promise.all(Array.from({ length: 20 }, () => lab.calls.accept(lab.request({ limits }))));
    for (const { id } of all) expect(await ended(id)).toMatchObject({ state: 'succeeded', attempts: 1 });
    expect(most).toBe(2);
  });

  it('of one key let other keys pass', async () => {
    const order: string[] = [];
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const limits = { pending: 100, concurrencyPerKey: 1 };
    const accept = (concurrencyKey: string, body: string) =>
      lab.calls.accept(lab.request({ limits, concurrencyKey, body: Buffer.from(body) }));
    lab.work(async ({ event }) => {
      if (String(event) === 'a1') await held;
      order.push(String(event));
      return ok('1');
    });
    const a1 = await accept('a', 'a1');
    await eventually('a1 runs', async () => (await lab.calls.get(a1.id)).state === 'running');
    const a2 = await accept('a', 'a2');
    const b1 = await accept('b', 'b1');
    expect(await ended(b1.id)).toMatchObject({ state: 'succeeded' });
    release();
    await ended(a2.id);
    expect(order).toEqual(['b1', 'a1', 'a2']);
  });
});

describe('cancel', () => {
  it('of one that waits ends it, and it never runs', async () => {
    const { id } = await lab.calls.accept(lab.request({ runAt: Date.now() + 3_600_000 }));
    expect(await lab.calls.cancel(id, 'not needed')).toMatchObject({
      state: 'cancelled',
      outcome: { message: 'not needed' },
    });
    expect(await lab.queue.counts()).toEqual({ waiting: 0, delayed: 0, running: 0 });
  });

  it('of one that runs aborts it', async () => {
    const { id } = await lab.calls.accept(lab.request());
    lab.work(async ({ signal }) => {
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      return failed('stopped');
    });
    await eventually('it runs', async () => (await lab.calls.get(id)).state === 'running');
    await lab.calls.cancel(id, 'enough');
    expect(await ended(id)).toMatchObject({ state: 'cancelled', attempts: 1 });
  });
});

describe('a claim that was lost', () => {
  it('commits nothing: the outcome of the other attempt stays', async () => {
    const { id } = await lab.calls.accept(lab.request());
    const { redis } = lab.redis.connection;
    lab.work(async (attempt, claim) => {
      if (attempt.number === 1) {
        // As when this worker stood still: its lock is another's now, who has begun.
        await redis.set(claim.lock.key, 'another');
        const other = { ...claim, lock: { ...claim.lock, token: 'another' } };
        const second = await lab.attempts.begin(other);
        if (!('number' in second)) throw new Error('it could not begin');
        await lab.attempts.settle(other, second, ok('"second"'));
        return ok('"late"');
      }
      throw new Error('unreachable');
    });
    const record = await ended(id);
    expect(String(await lab.calls.readBody(record, 'result'))).toBe('"second"');
    expect(record).toMatchObject({ state: 'succeeded', attempts: 2, crashes: 1 });
    await eventually('it is counted', async () => (await redis.hget('wafer:{default}:durable', 'late')) === '1');
  });

  it('is parked when it takes its worker with it again and again', async () => {
    const { id } = await lab.calls.accept(lab.request());
    const { redis } = lab.redis.connection;
    // Three workers that begin and are gone.
    const key = 'wafer:{default}:q:calls:lock-of-the-test';
    for (const token of ['one', 'two', 'three', 'four']) {
      await redis.set(key, token);
      await lab.attempts.begin({ id, lock: { key, token }, signal: never });
    }
    const record = await lab.calls.get(id);
    expect(record).toMatchObject({ state: 'failed', crashes: 3, outcome: { kind: 'worker_lost' } });
    expect(record.timeline.at(-1)).toMatchObject({ event: 'failed', reason: expect.stringContaining('parked') });
  });

  it('whose worker is gone keeps its room: who waits for it goes on waiting in its place', async () => {
    const { redis } = lab.redis.connection;
    const limits = { pending: 100, concurrency: 1 };
    const [first, second] = [
      await lab.calls.accept(lab.request({ limits })),
      await lab.calls.accept(lab.request({ limits })),
    ];
    const claim = async (id: string, token: string) => {
      const key = `wafer:{default}:q:calls:lock-${id}`;
      await redis.set(key, token);
      return { id, lock: { key, token }, signal: never };
    };
    await lab.attempts.begin(await claim(first.id, 'one'));
    expect(await lab.attempts.begin(await claim(second.id, 'other'))).toHaveProperty('next');
    const again = await claim(first.id, 'two');
    const attempt = await lab.attempts.begin(again);
    expect(attempt).toMatchObject({ number: 2 });
    expect(await redis.lrange('wafer:{default}:room:f', 0, -1)).toEqual([second.id]);
    expect(await redis.smembers('wafer:{default}:running:f')).toEqual([first.id]);
    if ('number' in attempt) await lab.attempts.settle(again, attempt, ok('1'));
    expect(await redis.lrange('wafer:{default}:room:f', 0, -1)).toEqual([]);
    lab.work(async () => ok('1'));
    expect(await ended(second.id)).toMatchObject({ state: 'succeeded' });
  });

  it('whose worker is gone gives its room up when it has to wait for the rate', async () => {
    const { redis } = lab.redis.connection;
    const limits = { pending: 100, concurrency: 1, rate: { count: 1, periodMs: 600_000, burst: 1 } };
    const { id } = await lab.calls.accept(lab.request({ limits }));
    const key = 'wafer:{default}:q:calls:lock-of-the-test';
    for (const token of ['one', 'two']) {
      await redis.set(key, token);
      await lab.attempts.begin({ id, lock: { key, token }, signal: never });
    }
    expect(await lab.calls.get(id)).toMatchObject({ state: 'queued', crashes: 1 });
    expect(await redis.smembers('wafer:{default}:running:f')).toEqual([]);
  });
});

describe('counts', () => {
  it('say how many have not ended and how the others did, whatever became of them', async () => {
    const count = () => countDurable(lab.redis.connection.redis, lab.queue);
    const soon = await Promise.all(Array.from({ length: 5 }, () => lab.calls.accept(lab.request())));
    const later = await lab.calls.accept(lab.request({ runAt: Date.now() + 600_000 }));
    expect((await count()).now).toMatchObject({ pending: 6, dead: 0 });
    lab.work(async ({ record }) => (record.id === soon[0]?.id ? { ...failed('no'), final: true } : ok('1')));
    for (const { id } of soon) await ended(id);
    await lab.calls.cancel(later.id, 'not needed');
    expect(await count()).toMatchObject({
      now: { pending: 0, dead: 1 },
      ever: { succeeded: 4, failed: 1, cancelled: 1, expired: 0, lost: 0, late: 0 },
    });
  });
});
