import { describe, expect, it } from 'vitest';
import type { FunctionVersion } from '../../../services/core/functions/types.ts';
import { never, pool, Slot, turn, version } from '../../helpers/slots.ts';

describe('pool', () => {
  it('starts an instance for the first call and reuses it for the next', async () => {
    const { pool: slots, made } = pool();
    const first = await slots.acquire(version('a'), never);
    expect(first.started).toBe(true);
    first.release();
    const second = await slots.acquire(version('a'), never);
    expect(second).toMatchObject({ started: false, instance: first.instance });
    expect(made).toHaveLength(1);
  });

  it('never gives an instance to another version of the same function', async () => {
    const { pool: slots, made } = pool();
    (await slots.acquire(version('a'), never)).release();
    const other = await slots.acquire(version('a', {}, 2), never);
    expect(other.started).toBe(true);
    expect(made.map((slot) => slot.version.number)).toEqual([1, 2]);
  });

  it('gives one instance as many calls at once as the version allows', async () => {
    const { pool: slots, made } = pool();
    const shared = version('a', { concurrency: 3 });
    (await slots.acquire(shared, never)).release();
    await Promise.all([1, 2, 3].map(() => slots.acquire(shared, never)));
    expect(made).toHaveLength(1);
    await slots.acquire(shared, never);
    expect(made).toHaveLength(2);
  });

  it('lets a call wait when the memory budget is used up, until a call ends', async () => {
    const { pool: slots, made } = pool({ memoryBudgetMb: 100 });
    const first = await slots.acquire(version('a'), never);
    const waiting = slots.acquire(version('a'), never);
    expect(slots.waiting()).toBe(1);
    first.release();
    expect((await waiting).instance).toBe(first.instance);
    expect(made).toHaveLength(1);
  });

  it('ends the idle instance of another version to make room', async () => {
    const { pool: slots, made } = pool({ memoryBudgetMb: 100 });
    (await slots.acquire(version('a'), never)).release();
    await slots.acquire(version('b'), never);
    expect(made[0]?.endedBy).toBe('evicted');
  });

  it('says of each start what it was due to', async () => {
    const { pool: slots, made } = pool({ memoryBudgetMb: 200 });
    const cause = async (name: string) => {
      const grant = await slots.acquire(version(name), never);
      return { grant, cause: grant.cause };
    };
    const one = await cause('a');
    const two = await cause('a');
    expect([one.cause, two.cause]).toEqual(['first', 'busy']);
    for (const { grant } of [one, two]) grant.release();
    const warm = await cause('a');
    expect(warm.cause).toBeNull();
    warm.grant.release();
    for (const slot of made) slot.idle?.();
    await turn();
    const later = await cause('a');
    expect(later.cause).toBe('idle');
    void made.at(-1)?.end('crashed');
    await turn();
    later.grant.release();
    const after = await cause('a');
    expect(after.cause).toBe('ended');
    after.grant.release();
    const others = [await cause('b'), await cause('c')];
    expect(made.find(({ endedBy }) => endedBy === 'evicted')?.version.functionName).toBe('a');
    await turn();
    for (const { grant } of others) grant.release();
    expect((await cause('a')).cause).toBe('evicted');
  });

  it('keeps minInstances of a version when it makes room', async () => {
    const { pool: slots, made } = pool({ memoryBudgetMb: 200 });
    slots.keepWarm(version('kept', { minInstances: 1 }));
    await turn();
    (await slots.acquire(version('a'), never)).release();
    await slots.acquire(version('b'), never);
    expect(made.map((slot) => slot.endedBy)).toEqual([undefined, 'evicted', undefined]);
  });

  it('gives up even minInstances of another version before a call would wait for ever', async () => {
    const { pool: slots, made } = pool({ memoryBudgetMb: 100 });
    slots.keepWarm(version('kept', { minInstances: 1 }));
    await turn();
    await slots.acquire(version('a'), never);
    expect(made.map((slot) => slot.endedBy)).toEqual(['evicted', undefined]);
  });

  it('does not give up minInstances of one version for those of another', async () => {
    const { pool: slots, made } = pool({ memoryBudgetMb: 100 });
    slots.keepWarm(version('kept', { minInstances: 1 }));
    await turn();
    slots.keepWarm(version('other', { minInstances: 1 }));
    await turn();
    expect(made.map((slot) => slot.endedBy)).toEqual([undefined]);
  });

  it('ends no instance when that would not make enough room', async () => {
    const { pool: slots, made } = pool({ memoryBudgetMb: 300 });
    await slots.acquire(version('busy', { memoryMb: 200 }), never);
    (await slots.acquire(version('idle'), never)).release();
    const caller = new AbortController();
    const waiting = slots.acquire(version('large', { memoryMb: 200 }), caller.signal);
    expect(made.map((slot) => slot.endedBy)).toEqual([undefined, undefined]);
    caller.abort(new Error('gone'));
    await expect(waiting).rejects.toThrow('gone');
  });

  it('refuses with overloaded when too many calls wait', async () => {
    const { pool: slots } = pool({ memoryBudgetMb: 100, maxWaiting: 1 });
    await slots.acquire(version('a'), never);
    void slots.acquire(version('a'), never).catch(() => {});
    await expect(slots.acquire(version('a'), never)).rejects.toMatchObject({ code: 'overloaded', status: 429 });
  });

  it('does not let a version whose calls never stop starve another', async () => {
    const { pool: slots } = pool({ memoryBudgetMb: 100 });
    const order: string[] = [];
    const first = await slots.acquire(version('a'), never);
    const wait = async (name: string) => {
      const grant = await slots.acquire(version(name), never);
      order.push(name);
      await turn();
      grant.release();
    };
    const all = ['a', 'a', 'a', 'b', 'c'].map(wait);
    first.release();
    await Promise.all(all);
    expect(order.slice(0, 3)).toEqual(['b', 'a', 'c']);
    expect(order.slice().sort()).toEqual(['a', 'a', 'a', 'b', 'c']);
  });

  it('forgets a call whose caller went away', async () => {
    const { pool: slots } = pool({ memoryBudgetMb: 100 });
    await slots.acquire(version('a'), never);
    const caller = new AbortController();
    const waiting = slots.acquire(version('a'), caller.signal);
    caller.abort(new Error('gone'));
    await expect(waiting).rejects.toThrow('gone');
    expect(slots.waiting()).toBe(0);
  });

  it('fails one waiting call for one failed start, and the next call starts anew', async () => {
    let starts = 0;
    const { pool: slots } = pool({
      start: async (one) => {
        if (++starts === 1) throw new Error('no sandbox');
        return new Slot(one);
      },
    });
    await expect(slots.acquire(version('a'), never)).rejects.toThrow('no sandbox');
    expect((await slots.acquire(version('a'), never)).started).toBe(true);
  });

  it('ends an idle instance when its time is over, but keeps minInstances', async () => {
    const { pool: slots, made } = pool();
    (await slots.acquire(version('a'), never)).release();
    made[0]?.idle?.();
    expect(made[0]?.endedBy).toBe('idle');
    slots.keepWarm(version('kept', { minInstances: 1 }));
    await turn();
    made[1]?.idle?.();
    expect(made[1]?.endedBy).toBeUndefined();
  });

  it('keeps minInstances only of the version that is kept warm, and of none when the function is removed', async () => {
    const { pool: slots, made } = pool();
    const old = version('kept', { minInstances: 1 });
    slots.keepWarm(old);
    await turn();
    const busy = await slots.acquire(old, never);
    slots.keepWarm(version('kept', { minInstances: 1 }, 2));
    await turn();
    busy.release();
    for (const slot of made) slot.idle?.();
    expect(made.map((slot) => slot.endedBy)).toEqual(['idle', undefined]);
    const starting = slots.acquire(version('kept', { minInstances: 1 }, 2), never);
    await slots.retire('kept');
    (await starting).release();
    made.at(-1)?.idle?.();
    expect(made.at(-1)?.endedBy).toBeDefined();
  });

  it('starts the minInstances of a new version before those of the old one end', async () => {
    const gives: (() => void)[] = [];
    const made: Slot[] = [];
    const { pool: slots } = pool({
      start: (one) =>
        new Promise((give) =>
          gives.push(() => {
            made.push(new Slot(one));
            give(made.at(-1) as Slot);
          }),
        ),
    });
    const first = slots.replace(version('kept', { minInstances: 2 }));
    for (const give of gives) give();
    await first;
    const second = slots.replace(version('kept', { minInstances: 2 }, 2));
    await turn();
    expect(gives).toHaveLength(4);
    // Its time is over, but it is not alone in being kept.
    for (const old of made) old.idle?.();
    gives[2]?.();
    await turn();
    expect(made.map(({ endedBy }) => endedBy)).toEqual([undefined, undefined, undefined]);
    gives[3]?.();
    await second;
    expect(made.map(({ endedBy }) => endedBy)).toEqual(['killed', 'killed', undefined, undefined]);
  });

  it('ends those of the old version also when the new ones do not start, or have no room beside them', async () => {
    const { pool: slots, made } = pool({ memoryBudgetMb: 200 });
    await slots.replace(version('kept', { minInstances: 2 }));
    await slots.replace(version('kept', { minInstances: 2 }, 2));
    await turn();
    expect(made.map(({ version: { number }, endedBy }) => [number, endedBy])).toEqual([
      [1, 'killed'],
      [1, 'killed'],
      [2, undefined],
      [2, undefined],
    ]);
    const failing = pool({
      start: async (one) => {
        if (one.number === 2) throw new Error('no');
        return failing.slot(one);
      },
    }) as ReturnType<typeof pool> & { slot: (one: FunctionVersion) => Slot };
    failing.slot = (one) => {
      const slot = new Slot(one);
      failing.made.push(slot);
      return slot;
    };
    await failing.pool.replace(version('kept', { minInstances: 1 }));
    await failing.pool.replace(version('kept', { minInstances: 1 }, 2));
    expect(failing.made.map(({ endedBy }) => endedBy)).toEqual(['killed']);
    expect(failing.failed).toHaveLength(2);
  });

  it('lets the last of three deploys at once settle what is kept', async () => {
    const { pool: slots, made } = pool();
    await Promise.all([1, 2, 3].map((number) => slots.replace(version('kept', { minInstances: 1 }, number))));
    await turn();
    expect(made.filter(({ endedBy }) => endedBy === undefined).map((one) => one.version.number)).toEqual([3]);
  });

  it('follows a kept instance that ended after its call with another, and one that never had a call with none', async () => {
    const { pool: slots, made } = pool();
    const kept = version('kept', { minInstances: 1 });
    slots.keepWarm(kept);
    await turn();
    const grant = await slots.acquire(kept, never);
    grant.release();
    await grant.instance.end('killed');
    await turn();
    expect(made).toHaveLength(2);
    await made[1]?.end('killed');
    await turn();
    expect(made).toHaveLength(2);
  });

  it('does not follow an instance of a version that is not kept any more, or after close', async () => {
    const { pool: slots, made } = pool();
    const old = version('kept', { minInstances: 1 });
    slots.keepWarm(old);
    await turn();
    const grant = await slots.acquire(old, never);
    slots.keepWarm(version('kept', { minInstances: 1 }, 2));
    await turn();
    grant.release();
    await grant.instance.end('killed');
    await turn();
    expect(made).toHaveLength(2);
    (await slots.acquire(version('kept', { minInstances: 1 }, 2), never)).release();
    await slots.close(AbortSignal.abort());
    await turn();
    expect(made).toHaveLength(2);
  });

  it('gives up starts whose calls were served by others meanwhile, and none that is kept', async () => {
    const starts: { isWanted: () => boolean; give: (slot: Slot | null) => void }[] = [];
    const { pool: slots } = pool({
      start: (_version, isWanted) => new Promise((give) => starts.push({ isWanted, give })),
    });
    const calls = [1, 2, 3].map(() => slots.acquire(version('a'), never));
    await turn();
    expect(starts).toHaveLength(3);
    expect(starts[0]?.isWanted()).toBe(true);
    starts[0]?.give(new Slot(version('a')));
    for (const call of calls) (await call).release();
    expect(starts.slice(1).map(({ isWanted }) => isWanted())).toEqual([false, false]);
    expect(starts[0]?.isWanted()).toBe(true); // bound once, bound for good
    for (const { give } of starts.slice(1)) give(null);
    await turn();
    expect(slots.usedMb()).toBe(100);
    slots.keepWarm(version('kept', { minInstances: 1 }));
    expect(starts[3]?.isWanted()).toBe(true);
  });

  it.each(['retire', 'replace'] as const)(
    'ends what was on its way when %s came, and no call waits for',
    async (how) => {
      const gives: ((slot: Slot) => void)[] = [];
      const { pool: slots } = pool({ start: () => new Promise((give) => gives.push(give)) });
      void slots.keepWarm(version('f', { minInstances: 1 }));
      const old = new Slot(version('f'));
      if (how === 'retire') await slots.retire('f');
      else await slots.replace(version('f', {}, 2));
      gives[0]?.(old);
      await turn();
      expect(old.endedBy).toBe('killed');
      expect(slots.instances()).toHaveLength(0);
    },
  );

  it('starts anew for a call that came when the start before was being given up', async () => {
    const starts: { isWanted: () => boolean; give: (slot: Slot | null) => void }[] = [];
    const { pool: slots } = pool({
      start: (_version, isWanted) => new Promise((give) => starts.push({ isWanted, give })),
    });
    const left = new AbortController();
    const gone = slots.acquire(version('a'), left.signal);
    await turn();
    left.abort(new Error('left'));
    await expect(gone).rejects.toThrow('left');
    expect(starts[0]?.isWanted()).toBe(false);
    const call = slots.acquire(version('a'), never);
    starts[0]?.give(null);
    await turn();
    starts[1]?.give(new Slot(version('a')));
    expect((await call).started).toBe(true);
  });

  it('tells of a start that failed when no call waits for it', async () => {
    const { pool: slots, failed } = pool({ start: () => Promise.reject(new Error('no sandbox')) });
    slots.keepWarm(version('kept', { minInstances: 1 }));
    await turn();
    expect(failed).toEqual([new Error('no sandbox')]);
  });

  it('refuses calls after close and ends every instance', async () => {
    const { pool: slots, made } = pool();
    (await slots.acquire(version('a'), never)).release();
    await slots.close(AbortSignal.abort());
    expect(made[0]?.endedBy).toBeDefined();
    await expect(slots.acquire(version('a'), never)).rejects.toMatchObject({ code: 'shutting_down' });
  });
});

describe('an instance that is outdated', () => {
  it('is followed by another where one is kept, although it had no call', async () => {
    const kept = version('kept', { minInstances: 1 });
    const { pool: slots, made } = pool();
    await slots.keepWarm(kept);
    const [first] = made;
    if (first === undefined) throw new Error('none was started');
    first.isOutdated = true;
    await first.retire();
    await turn();
    expect(made).toHaveLength(2);
  });

  it('before it is there serves no call: the call gets the next one', async () => {
    const made: Slot[] = [];
    const { pool: slots } = pool({
      start: async (one) => {
        const slot = new Slot(one);
        if (made.push(slot) === 1) {
          slot.isOutdated = true;
          void slot.retire();
        }
        return slot;
      },
    });
    const grant = await slots.acquire(version('changed'), never);
    expect(grant.instance).toBe(made[1]);
  });
});
