/**
 * An attempt of a version with a transaction is lost with its worker: the commit to the volume is a step before that of
 * the outcome, so what ends the invocation then depends on what the volume has.
 */
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Attempt } from '../../../services/core/invocations/durable/types.ts';
import type { Claim } from '../../../services/core/queue/types.ts';
import { type DurableLab, openDurableLab } from './lab.ts';

const never = new AbortController().signal;
const KEY = 'wafer:{default}:q:calls:lock-of-the-test';
/** What ends it, and attempts that are lost by then. */
const LOST = [
  { state: 'failed', crashes: 3, kind: 'worker_lost' },
  { state: 'expired', crashes: 1, kind: 'expired' },
  { state: 'cancelled', crashes: 1, kind: 'cancelled' },
] as const;

let lab: DurableLab;
beforeEach(async () => {
  lab = await openDurableLab();
});
afterEach(() => lab.close());

const claimOf = async (id: string, token: string): Promise<Claim> => {
  await lab.redis.connection.redis.set(KEY, token);
  return { id, lock: { key: KEY, token }, signal: never };
};

/** Workers began it and are gone; the next to begin it ends it. */
async function lose({ state, crashes }: (typeof LOST)[number]): Promise<string> {
  const { id } = await lab.calls.accept(lab.request({ transaction: true }));
  for (let crash = 0; crash < crashes; crash++) await lab.attempts.begin(await claimOf(id, `lost-${crash}`));
  if (state === 'expired') await lab.redis.connection.redis.hset(`wafer:{default}:call:${id}`, 'expiresAt', 1);
  if (state === 'cancelled') await lab.calls.cancel(id, 'not needed');
  return id;
}
async function beginLast(id: string): Promise<[Claim, Attempt]> {
  const claim = await claimOf(id, 'last');
  const attempt = await lab.attempts.begin(claim);
  if (!('number' in attempt)) throw new Error('it ended before anybody asked the volume');
  return [claim, attempt];
}

it.each(LOST)('one that has not written is $state', async (how) => {
  const id = await lose(how);
  const [claim, attempt] = await beginLast(id);
  expect(attempt.lost).toBe(how.state);
  expect(await lab.attempts.settle(claim, attempt, { kind: 'lost' })).toEqual({ next: null });
  const { state, crashes, kind } = how;
  expect(await lab.calls.get(id)).toMatchObject({ state, crashes, outcome: { kind } });
});

it.each(LOST)('one that has written has succeeded, and is not $state; its result is lost', async (how) => {
  const id = await lose(how);
  const [claim, attempt] = await beginLast(id);
  await lab.attempts.settle(claim, attempt, { kind: 'written' });
  const record = await lab.calls.get(id);
  expect(record).toMatchObject({ state: 'succeeded', outcome: { kind: 'ok' }, attempts: how.crashes });
  expect(record.timeline.at(-1)).toMatchObject({ event: 'succeeded', reason: expect.stringContaining('is lost') });
  expect(await lab.calls.readBody(record, 'result')).toHaveLength(0);
});

it.each(LOST)('is not $state by a worker that can not ask its volume', async (how) => {
  const id = await lose(how);
  const { next } = (await lab.elsewhere.begin(await claimOf(id, 'elsewhere'))) as { next: number | null };
  expect(next).toBeGreaterThan(Date.now() - 1_000);
  expect(await lab.calls.get(id)).toMatchObject({ state: 'running', crashes: how.crashes - 1 });
  expect((await beginLast(id))[1].lost).toBe(how.state);
});

it('is parked by any worker where there is no transaction', async () => {
  const { id } = await lab.calls.accept(lab.request());
  for (const token of ['one', 'two', 'three', 'four']) await lab.elsewhere.begin(await claimOf(id, token));
  expect(await lab.calls.get(id)).toMatchObject({ state: 'failed', crashes: 3, outcome: { kind: 'worker_lost' } });
});
