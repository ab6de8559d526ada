/** The pool with the policy that learns, on a clock that the test moves. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { FunctionVersion } from '../../../services/core/functions/types.ts';
import { createLearnedPolicy } from '../../../services/worker/keep-alive/policy.ts';
import { createPool, type Pool, type Pooled } from '../../../services/worker/pool/pool.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const never = new AbortController().signal;

/** An instance without a sandbox, with the timer that a real one has. */
class Slot implements Pooled {
  readonly version: FunctionVersion;
  readonly ended: Promise<unknown>;
  lastUsedAt = Date.now();
  endedBy: string | undefined;
  /** As one that ends with its call. */
  readonly isFollowed: boolean;
  readonly isOutdated = false;
  #inFlight = 0;
  #timer: NodeJS.Timeout | undefined;
  #end: (value?: unknown) => void = () => {};
  constructor(version: FunctionVersion) {
    this.version = version;
    this.isFollowed = version.config.reuse === false;
    this.ended = new Promise((resolve) => (this.#end = resolve));
  }
  get state() {
    return this.endedBy !== undefined ? 'ending' : this.#inFlight > 0 ? 'busy' : 'idle';
  }
  get free() {
    return this.endedBy === undefined ? 1 - this.#inFlight : 0;
  }
  take() {
    this.#inFlight++;
    clearTimeout(this.#timer);
  }
  give() {
    this.#inFlight--;
    this.lastUsedAt = Date.now();
    if (this.isFollowed) void this.end('retired');
  }
  whenIdleFor(ms: number, then: () => void) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(then, ms);
  }
  async retire() {
    await this.end('retired');
  }
  async end(reason: string) {
    this.endedBy ??= reason;
    clearTimeout(this.#timer);
    this.#end();
  }
}

const version = (functionName: string, config: object = {}, number = 1) =>
  ({ functionName, number, config: { concurrency: 1, memoryMb: 100, minInstances: 0, ...config } }) as FunctionVersion;

function learnedPool(memoryBudgetMb = 1_000) {
  const made: Slot[] = [];
  const pool = createPool<Slot>({
    memoryBudgetMb,
    maxWaiting: 10,
    idleMs: MINUTE,
    keepAlive: createLearnedPolicy({ standardMs: MINUTE }),
    start: async (one) => {
      const slot = new Slot(one);
      made.push(slot);
      return slot;
    },
    onStartFailed: (_version, error) => {
      throw error;
    },
  });
  return { made, pool };
}

/** One call that takes no time; whether it was a cold one. */
async function call(pool: Pool<Slot>, one: FunctionVersion): Promise<boolean> {
  const { started, release } = await pool.acquire(one, never);
  release();
  return started;
}

/** Calls that are `pauseMs` apart, and that time after the last. */
async function calls(pool: Pool<Slot>, one: FunctionVersion, count: number, pauseMs: number): Promise<boolean[]> {
  const cold: boolean[] = [];
  for (let at = 0; at < count; at++) {
    cold.push(await call(pool, one));
    await vi.advanceTimersByTimeAsync(pauseMs);
  }
  return cold;
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('a pool that learns', () => {
  it('ends the instance of a timer after its call, and starts one before the next', async () => {
    const { pool, made } = learnedPool();
    const cold = await calls(pool, version('cron'), 6, 30 * MINUTE);
    expect(cold).toEqual([true, true, true, false, false, false]);
    await call(pool, version('cron'));
    await vi.advanceTimersByTimeAsync(2 * SECOND);
    expect(pool.instances()).toHaveLength(0);
    expect(made.at(-1)?.endedBy).toBe('idle');
    await vi.advanceTimersByTimeAsync(30 * MINUTE - 3 * SECOND);
    expect(pool.instances()).toHaveLength(1);
  });

  it('ends an instance that was started for a call that does not come', async () => {
    const { pool, made } = learnedPool();
    await calls(pool, version('cron'), 5, 30 * MINUTE);
    const before = made.length;
    await call(pool, version('cron'));
    await vi.advanceTimersByTimeAsync(10 * 30 * MINUTE);
    expect(pool.instances()).toHaveLength(0);
    expect(made.length).toBe(before + 1);
  });

  it('starts nothing ahead when the call came before', async () => {
    const { pool, made } = learnedPool();
    await calls(pool, version('cron'), 5, 30 * MINUTE);
    await call(pool, version('cron'));
    await vi.advanceTimersByTimeAsync(10 * MINUTE);
    const { instance, release } = await pool.acquire(version('cron'), never);
    const before = made.length;
    await instance.end('killed');
    release();
    await vi.advanceTimersByTimeAsync(60 * MINUTE);
    expect(made.length).toBe(before);
  });

  it('keeps the instance of a version that is called every twenty seconds from call to call', async () => {
    const { pool, made } = learnedPool();
    const cold = await calls(pool, version('f', { memoryMb: 64 }), 12, 20 * SECOND);
    expect(cold.filter(Boolean)).toHaveLength(1);
    expect(made).toHaveLength(1);
  });

  it('keeps a version that it knows nothing of for WAFER_IDLE_MS', async () => {
    const { pool, made } = learnedPool();
    await call(pool, version('f'));
    await vi.advanceTimersByTimeAsync(MINUTE - 1);
    expect(made[0]?.endedBy).toBeUndefined();
    await vi.advanceTimersByTimeAsync(1);
    expect(made[0]?.endedBy).toBe('idle');
  });

  it('has the next instance of one that ends with its call ready, for as long as an idle one is kept', async () => {
    const { pool, made } = learnedPool();
    const once = version('once', { reuse: false });
    const cold = await calls(pool, once, 3, 20 * SECOND);
    expect(cold).toEqual([true, false, false]);
    expect(made.map(({ endedBy }) => endedBy)).toEqual(['retired', 'retired', 'retired', undefined]);
    await vi.advanceTimersByTimeAsync(60 * MINUTE);
    expect(pool.instances()).toHaveLength(0);
    expect(made).toHaveLength(4);
  });

  it('has it ready ahead of the call of a timer, and not meanwhile', async () => {
    const { pool } = learnedPool();
    const cron = version('cron', { reuse: false });
    const cold = await calls(pool, cron, 6, 30 * MINUTE);
    expect(cold).toEqual([true, true, true, false, false, false]);
    await call(pool, cron);
    await vi.advanceTimersByTimeAsync(10 * MINUTE);
    expect(pool.instances()).toHaveLength(0);
    await vi.advanceTimersByTimeAsync(19 * MINUTE);
    expect(pool.instances()).toHaveLength(1);
  });

  it.each(['retire', 'close', 'keepWarm'] as const)('starts nothing ahead after %s', async (how) => {
    const { pool, made } = learnedPool();
    await calls(pool, version('cron'), 5, 30 * MINUTE);
    await call(pool, version('cron'));
    if (how === 'retire') await pool.retire('cron');
    else if (how === 'close') await pool.close(never);
    else pool.keepWarm(version('cron', {}, 2));
    const before = made.length;
    await vi.advanceTimersByTimeAsync(60 * MINUTE);
    expect(made.length).toBe(before);
    expect(pool.instances()).toHaveLength(0);
  });

  it('keeps minInstances also when it could start one ahead', async () => {
    const { pool, made } = learnedPool();
    const kept = version('cron', { minInstances: 1 });
    pool.keepWarm(kept);
    await vi.advanceTimersByTimeAsync(0);
    expect(await calls(pool, kept, 6, 30 * MINUTE)).not.toContain(true);
    expect(made).toHaveLength(1);
  });

  it('ends the idle instance that is worth least when a call needs its memory, not the one that was used first', async () => {
    const { pool, made } = learnedPool(200);
    // Due every ten seconds, and used first; the other is a stranger.
    await calls(pool, version('due'), 20, 10 * SECOND);
    await call(pool, version('due'));
    await vi.advanceTimersByTimeAsync(5 * SECOND);
    await call(pool, version('stranger'));
    await call(pool, version('new'));
    expect(made.map((slot) => [slot.version.functionName, slot.endedBy])).toEqual([
      ['due', undefined],
      ['stranger', 'evicted'],
      ['new', undefined],
    ]);
  });

  it('does not start one ahead in the place of one that is worth more', async () => {
    const { pool, made } = learnedPool(100);
    await calls(pool, version('cron'), 5, 30 * MINUTE);
    await call(pool, version('cron'));
    await vi.advanceTimersByTimeAsync(25 * MINUTE);
    for (let at = 0; at < 10 * 60; at++) {
      await call(pool, version('busy'));
      await vi.advanceTimersByTimeAsync(SECOND);
    }
    expect(made.filter((slot) => slot.version.functionName === 'busy')).toHaveLength(1);
    expect(pool.instances().map((slot) => slot.version.functionName)).toEqual(['busy']);
  });
});
