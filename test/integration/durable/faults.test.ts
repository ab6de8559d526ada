/** What goes wrong around accepted calls; processes that are killed are in test/faults. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../../helpers/redis.ts';
import { type DurableLab, ok, openDurableLab } from './lab.ts';

let lab: DurableLab;
beforeEach(async () => {
  lab = await openDurableLab();
});
afterEach(() => lab.close());

const MB = 1024 * 1024;
const ended = (id: string) => lab.calls.wait(id, 120_000, new AbortController().signal);

describe('a Redis that is nearly full (R4)', () => {
  it('takes nothing new, runs to their end what it took, and then takes more', async () => {
    const { redis } = lab.redis.connection;
    await redis.set('other data', Buffer.alloc(40 * MB, 'x'));
    const taken = await Promise.all(Array.from({ length: 20 }, () => lab.calls.accept(lab.request())));
    const used = Number(/^used_memory:(\d+)/m.exec(await redis.info('memory'))?.[1]);
    await redis.config('SET', 'maxmemory', String(Math.round(used * 1.08)));
    await lab.headroom.look();
    await expect(lab.calls.accept(lab.request())).rejects.toMatchObject({
      code: 'store_unavailable',
      status: 503,
      details: { retryAfterMs: expect.any(Number) },
    });
    lab.work(async () => ok('1'));
    for (const { id } of taken) expect(await ended(id)).toMatchObject({ state: 'succeeded' });
    await redis.del('other data');
    await lab.headroom.look();
    expect(await lab.calls.accept(lab.request())).toMatchObject({ kind: 'accepted' });
  });
});

describe('a record that no version of this platform wrote (R30)', () => {
  it('is parked with its reason, and holds nobody up', async () => {
    const { redis } = lab.redis.connection;
    const [poisoned, fine] = [await lab.calls.accept(lab.request()), await lab.calls.accept(lab.request())];
    await redis.hset(`wafer:{default}:call:${poisoned.id}`, 'call', '{ of another time');
    lab.work(async () => ok('1'), 1);
    expect(await ended(fine.id)).toMatchObject({ state: 'succeeded' });
    const record = await ended(poisoned.id);
    expect(record).toMatchObject({ state: 'failed' });
    expect(record.timeline.at(-1)?.reason).toMatch(/parked/);
  });

  it('that is no record at all is thrown away by whoever draws its ticket', async () => {
    await lab.queue.push({ id: 'inv_00000000000000000000000000' });
    lab.work(async () => ok('1'));
    expect(await eventually('an empty queue', async () => total(await lab.queue.counts()) === 0)).toBe(true);
  });
});

const total = ({ waiting, delayed, running }: { waiting: number; delayed: number; running: number }) =>
  waiting + delayed + running;
