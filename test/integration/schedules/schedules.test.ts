/** What schedules start, when, and how often: with a clock of the test's, a real Redis, and tickers that die. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../../helpers/redis.ts';
import { failed, ok } from '../durable/lab.ts';
import { MINUTE, NOON, openScheduleLab, type ScheduleLab } from './lab.ts';

let lab: ScheduleLab;
beforeEach(async () => {
  lab = await openScheduleLab();
});
afterEach(() => lab.close());

const last = async () => (await lab.invocations()).at(-1)!;
const body = async (index: number) => {
  const record = (await lab.invocations())[index]!;
  return JSON.parse(String(await lab.durable.calls.readBody(record, 'event')));
};

describe('a schedule', () => {
  it('starts one invocation at each due time, and none in between', async () => {
    await lab.put('s', { cron: '*/5 * * * *', overlap: 'queue', data: { a: 1 } });
    const ticker = lab.ticker();
    for (let at = NOON; at < NOON + 12 * MINUTE; at += 10_000) {
      lab.clock.now = at;
      await ticker.tick();
    }
    expect(await lab.origins()).toEqual(['s@12:05:00', 's@12:10:00']);
    expect(await last()).toMatchObject({ trigger: 'schedule', functionName: 'f', version: 1, depth: 0 });
    const dueAt = NOON + 5 * MINUTE;
    expect(await body(0)).toEqual({
      schedule: 's',
      dueAt,
      scheduledAt: dueAt,
      time: '2026-06-02T12:05:00.000Z',
      timeZone: 'UTC',
      data: { a: 1 },
    });
  });

  it('fires once for each due time with many tickers at once', async () => {
    for (let index = 0; index < 20; index++) await lab.put(`s${index}`);
    const tickers = Array.from({ length: 6 }, () => lab.ticker());
    for (const minute of [1, 2, 3]) {
      lab.clock.now = NOON + minute * MINUTE;
      await Promise.all(tickers.map((ticker) => ticker.tick()));
    }
    const origins = await lab.origins();
    expect(origins.length).toBe(new Set(origins).size);
    // The second and third due times find the first one's invocation open: the policy is skip.
    expect(origins).toHaveLength(20);
    const { runs } = await lab.schedules.get('s7');
    expect(runs.map(({ kind }) => kind)).toEqual(['skipped', 'skipped', 'started']);
  });

  it.each(['before', 'after'])('whose ticker dies %s it was accepted starts exactly once, by another', async (when) => {
    await lab.put('s');
    lab.clock.now = NOON + MINUTE;
    let reached = () => {};
    const there = new Promise<void>((resolve) => {
      reached = resolve;
    });
    const { calls } = lab.durable;
    const dead = lab.ticker({
      calls: {
        ...calls,
        async accept(request) {
          if (when === 'after') await calls.accept(request);
          reached();
          return new Promise(() => {}); // gone
        },
      },
    });
    void dead.tick();
    await there;
    const other = lab.ticker();
    await other.tick();
    expect(await lab.origins()).toHaveLength(when === 'after' ? 1 : 0); // claimed
    lab.clock.now += 15_001;
    await other.tick();
    expect(await lab.origins()).toEqual(['s@12:01:00']);
    expect((await lab.schedules.get('s')).due).toBe(NOON + 2 * MINUTE);
  });

  it('that a ticker finishes late, after another, does not go back', async () => {
    await lab.put('s', { overlap: 'queue' });
    lab.clock.now = NOON + MINUTE;
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    let reached = () => {};
    const there = new Promise<void>((resolve) => {
      reached = resolve;
    });
    const { calls } = lab.durable;
    const slow = lab.ticker({
      calls: {
        ...calls,
        async accept(request) {
          reached();
          await held;
          return calls.accept(request);
        },
      },
    });
    const late = slow.tick();
    await there;
    lab.clock.now = NOON + 2 * MINUTE;
    await lab.ticker().tick();
    release();
    await late;
    expect(await lab.origins()).toEqual(['s@12:01:00', 's@12:02:00']);
    const { due, runs } = await lab.schedules.get('s');
    expect([due, runs.length]).toEqual([NOON + 3 * MINUTE, 2]);
  });

  it('that is removed while it is claimed starts nothing more', async () => {
    await lab.put('s');
    await lab.schedules.remove('s');
    lab.clock.now = NOON + MINUTE;
    await lab.ticker().tick();
    expect(await lab.origins()).toEqual([]);
    await expect(lab.schedules.get('s')).rejects.toMatchObject({ code: 'schedule_not_found' });
    await expect(lab.schedules.remove('s')).rejects.toMatchObject({ code: 'schedule_not_found' });
    expect(await lab.durable.redis.connection.redis.keys('*schedule*')).toEqual([]);
  });

  it('every so many ms counts from its start, or from when it was made', async () => {
    await lab.put('made', { everyMs: 90_000 });
    await lab.put('start', { everyMs: 90_000, start: NOON + 10_000 });
    expect((await lab.schedules.get('made')).next.slice(0, 2)).toEqual([NOON + 90_000, NOON + 180_000]);
    expect((await lab.schedules.get('start')).next.slice(0, 2)).toEqual([NOON + 10_000, NOON + 100_000]);
  });

  it('for one moment starts once and is over', async () => {
    await lab.put('once', { at: NOON + 5_000 });
    const ticker = lab.ticker();
    for (const at of [NOON, NOON + 5_000, NOON + 60_000]) {
      lab.clock.now = at;
      await ticker.tick();
    }
    expect(await lab.origins()).toEqual(['once@12:00:05']);
    expect(await lab.schedules.get('once')).toMatchObject({ state: 'ended', next: [] });
  });

  it('has no due time before its start and after its end', async () => {
    await lab.put('s', { start: NOON + 2.5 * MINUTE, end: NOON + 4 * MINUTE });
    expect((await lab.schedules.get('s')).next).toEqual([NOON + 3 * MINUTE, NOON + 4 * MINUTE]);
  });

  it('with jitter is put off by the same for everybody, and less than was asked for', async () => {
    await lab.put('s', { jitterMs: 30_000, overlap: 'queue' });
    const { id } = await lab.schedules.get('s');
    const ticker = lab.ticker();
    for (let at = NOON; at < NOON + 5 * MINUTE; at += 500) {
      lab.clock.now = at;
      await ticker.tick();
    }
    const runs = (await lab.schedules.get('s')).runs;
    const delays = runs.map(({ at, due }) => at - due);
    expect(delays.every((delay) => delay >= 0 && delay < 30_500)).toBe(true);
    expect(new Set(delays).size).toBeGreaterThan(1);
    const event = await body(0);
    expect(event.scheduledAt).toBeGreaterThanOrEqual(event.dueAt);
    expect(id).toMatch(/^[0-9a-z]{16}$/);
  });
});

describe('overlap', () => {
  it('queue: one after another, none is lost', async () => {
    await lab.put('s', { overlap: 'queue' });
    const ticker = lab.ticker();
    for (const minute of [1, 2, 3]) {
      lab.clock.now = NOON + minute * MINUTE;
      await ticker.tick();
    }
    let now = 0;
    let most = 0;
    lab.durable.work(async () => {
      most = Math.max(most, ++now);
      await new Promise((resolve) => setTimeout(resolve, 20));
      now--;
      return ok('1');
    });
    await eventually('all have ended', async () =>
      (await lab.invocations()).every(({ state }) => state === 'succeeded'),
    );
    expect(most).toBe(1);
    expect(await lab.origins()).toHaveLength(3);
  });

  it('skip: not while the one before runs, and again when it has ended', async () => {
    await lab.put('s');
    const ticker = lab.ticker();
    lab.clock.now = NOON + MINUTE;
    await ticker.tick();
    lab.clock.now = NOON + 2 * MINUTE;
    await ticker.tick();
    lab.durable.work(async () => ok('1'));
    await eventually('it ends', async () => (await last()).state === 'succeeded');
    lab.clock.now = NOON + 3 * MINUTE;
    await ticker.tick();
    expect(await lab.origins()).toEqual(['s@12:01:00', 's@12:03:00']);
    const { runs } = await lab.schedules.get('s');
    expect(runs[1]).toMatchObject({
      kind: 'skipped',
      due: NOON + 2 * MINUTE,
      because: (await lab.invocations())[0]!.id,
    });
  });

  it('replace: the one before is cancelled, whether it waits or runs', async () => {
    await lab.put('s', { overlap: 'replace' });
    const ticker = lab.ticker();
    lab.clock.now = NOON + MINUTE;
    await ticker.tick();
    lab.clock.now = NOON + 2 * MINUTE;
    await ticker.tick();
    expect((await lab.invocations()).map(({ state }) => state)).toEqual(['cancelled', 'queued']);
    lab.durable.work(async ({ signal, event }) => {
      if (!String(event).includes('12:03'))
        await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      return signal.aborted ? failed('stopped') : ok('1');
    });
    await eventually('it runs', async () => (await last()).state === 'running');
    lab.clock.now = NOON + 3 * MINUTE;
    await ticker.tick();
    await eventually('the last one ends', async () => (await last()).state === 'succeeded');
    expect((await lab.invocations()).map(({ state }) => state)).toEqual(['cancelled', 'cancelled', 'succeeded']);
  });
});

describe('after a time in which nobody ticked', () => {
  const afterTwoHours = async (request: object) => {
    await lab.put('s', { cron: '*/10 * * * *', overlap: 'queue', ...request });
    lab.clock.now = NOON + 125 * MINUTE;
    await lab.ticker().tick();
    return lab.origins();
  };

  it('last: the latest one runs, late', async () => {
    expect(await afterTwoHours({ missed: 'last' })).toEqual(['s@14:00:00']);
    const { runs, due } = await lab.schedules.get('s');
    expect(runs.map(({ kind }) => kind)).toEqual(['started', 'missed']);
    expect(runs[1]).toMatchObject({ due: NOON + 10 * MINUTE, next: NOON + 120 * MINUTE });
    expect(due).toBe(NOON + 130 * MINUTE);
  });

  it('skip: none runs until the next', async () => {
    expect(await afterTwoHours({ missed: 'skip' })).toEqual([]);
    expect((await lab.schedules.get('s')).due).toBe(NOON + 130 * MINUTE);
  });

  it('all: the latest so many run, oldest first', async () => {
    expect(await afterTwoHours({ missed: 'all', missedLimit: 3 })).toEqual(['s@13:40:00', 's@13:50:00', 's@14:00:00']);
  });

  it('all: every one runs when there are not more than the limit', async () => {
    expect(await afterTwoHours({ missed: 'all', missedLimit: 100 })).toHaveLength(12);
  });

  it('what was due once runs late, unless it is to be skipped', async () => {
    await lab.put('run', { at: NOON + 1_000 });
    await lab.put('skip', { at: NOON + 1_000, missed: 'skip' });
    lab.clock.now = NOON + 3_600_000;
    const ticker = lab.ticker();
    await ticker.tick();
    await ticker.tick();
    expect(await lab.origins()).toEqual(['run@12:00:01']);
    expect(await lab.schedules.get('skip')).toMatchObject({ state: 'ended', runs: [{ kind: 'missed', next: null }] });
  });

  it("a second's schedule that was away for a month is not walked through", async () => {
    await lab.put('s', { cron: '* * * * * *' });
    lab.clock.now = NOON + 30 * 86_400_000;
    const ticker = lab.ticker();
    await ticker.tick();
    await ticker.tick();
    expect(await lab.invocations()).toHaveLength(1);
  });
});

describe('pause, resume, run', () => {
  it('a paused schedule has no due times, and those are not missed', async () => {
    await lab.put('s');
    expect(await lab.schedules.pause('s')).toMatchObject({ state: 'paused' });
    expect(await lab.schedules.pause('s')).toMatchObject({ state: 'paused' });
    lab.clock.now = NOON + 10 * MINUTE;
    await lab.ticker().tick();
    expect(await lab.origins()).toEqual([]);
    expect(await lab.schedules.resume('s')).toMatchObject({ state: 'active', due: NOON + 11 * MINUTE });
    lab.clock.now = NOON + 11 * MINUTE;
    await lab.ticker().tick();
    expect(await lab.origins()).toEqual(['s@12:11:00']);
  });

  it('by hand it runs also when it is paused, once for one key, and its due times stay', async () => {
    await lab.put('s', { paused: true, data: 1 });
    const first = await lab.schedules.run('s', { idempotencyKey: 'k' });
    lab.clock.now += 1_000;
    expect(await lab.schedules.run('s', { idempotencyKey: 'k' })).toEqual({ kind: 'repeated', id: first.id });
    expect(await body(0)).toMatchObject({ schedule: 's', dueAt: null, data: 1 });
    const { runs, state } = await lab.schedules.get('s');
    expect(runs).toEqual([
      { kind: 'started', manual: true, invocation: first.id, due: NOON, at: NOON, invocationState: 'queued' },
    ]);
    expect(state).toBe('paused');
  });

  it('replacing one counts its due times from now, and keeps its runs', async () => {
    const { created } = await lab.put('s', { cron: '1 * * * *' });
    lab.clock.now = NOON + MINUTE;
    await lab.ticker().tick();
    const again = await lab.put('s', { cron: '30 * * * *', data: 'new' });
    expect([created, again.created]).toEqual([true, false]);
    expect(await lab.schedules.get('s')).toMatchObject({
      due: NOON + 30 * MINUTE,
      data: 'new',
      runs: [{ kind: 'started' }],
    });
    expect(await lab.schedules.list()).toHaveLength(1);
  });
});

describe('what can not be started', () => {
  it('for want of room is tried again, and the schedule says why', async () => {
    lab.config.config = { queue: { maxPending: 1 } };
    await lab.put('s', { overlap: 'queue' });
    const ticker = lab.ticker();
    lab.clock.now = NOON + MINUTE;
    await ticker.tick();
    lab.clock.now = NOON + 2 * MINUTE;
    await ticker.tick();
    expect(await lab.schedules.get('s')).toMatchObject({
      due: NOON + 2 * MINUTE,
      problem: expect.stringContaining('have not ended'),
    });
    lab.durable.work(async () => ok('1'));
    await eventually('there is room', async () => (await last()).state === 'succeeded');
    lab.clock.now += 1_500;
    await ticker.tick();
    expect(await lab.origins()).toEqual(['s@12:01:00', 's@12:02:00']);
    expect(await lab.schedules.get('s')).not.toHaveProperty('problem');
  });

  it('since its function is gone is noted, and the schedule goes on', async () => {
    await lab.put('s');
    lab.functions.delete('f');
    const ticker = lab.ticker();
    lab.clock.now = NOON + MINUTE;
    await ticker.tick();
    lab.functions.add('f');
    lab.clock.now = NOON + 2 * MINUTE;
    await ticker.tick();
    expect((await lab.schedules.get('s')).runs.map(({ kind }) => kind)).toEqual(['started', 'failed']);
  });

  it('of a function that is not there is refused when the schedule is made', async () => {
    await expect(lab.put('s', { functionName: 'nope' })).rejects.toMatchObject({ code: 'function_not_found' });
    expect(await lab.schedules.list()).toEqual([]);
  });

  it('shows what became of it: an invocation that kills its workers is parked', async () => {
    await lab.put('s');
    lab.clock.now = NOON + MINUTE;
    await lab.ticker().tick();
    const { id } = await last();
    const { redis } = lab.durable.redis.connection;
    const key = 'wafer:{default}:q:calls:lock-of-the-test';
    for (const token of ['one', 'two', 'three', 'four']) {
      await redis.set(key, token);
      await lab.durable.attempts.begin({ id, lock: { key, token }, signal: new AbortController().signal });
    }
    expect((await lab.schedules.get('s')).runs).toMatchObject([
      { invocation: id, invocationState: 'failed', outcome: 'worker_lost' },
    ]);
  });
});

describe('ten thousand schedules that are due at once', () => {
  it('start one invocation each with two tickers, in bounded steps', async () => {
    const count = 10_000;
    const names = Array.from({ length: count }, (_, index) => `s${index}`);
    for (let at = 0; at < count; at += 500)
      await Promise.all(names.slice(at, at + 500).map((name) => lab.put(name, { cron: '0 13 * * *' })));
    lab.clock.now = NOON + 60 * MINUTE;
    let open = 0;
    let most = 0;
    const { calls } = lab.durable;
    const counted: typeof calls = {
      ...calls,
      async accept(request) {
        most = Math.max(most, ++open);
        return calls.accept(request).finally(() => open--);
      },
    };
    await Promise.all([lab.ticker({ calls: counted }).tick(), lab.ticker({ calls: counted }).tick()]);
    const { redis } = lab.durable.redis.connection;
    expect(await redis.zcard('wafer:{default}:calls')).toBe(count);
    expect(most).toBeLessThanOrEqual(200);
    expect(await redis.zcount('wafer:{default}:schedules:due', '-inf', lab.clock.now)).toBe(0);
  }, 600_000);
});
