/** What all instances of a namespace may have together, whatever the machine has. */
import { describe, expect, it } from 'vitest';
import { readConfig } from '../../../services/core/config.ts';
import { WaferError } from '../../../services/core/errors.ts';
import type { FunctionVersion } from '../../../services/core/functions/types.ts';
import { createNamespaceLimits, type NamespaceSettings } from '../../../services/worker/namespaces/limits.ts';
import { never, pool, turn, version } from '../../helpers/slots.ts';

const NONE: NamespaceSettings = { namespaceMemoryMb: null, namespaceCpu: null, namespacePids: null };
const limitsOf = (settings: Partial<NamespaceSettings>) => createNamespaceLimits({ ...NONE, ...settings });
const limitedPool = (settings: Partial<NamespaceSettings>) => pool({ ceilings: limitsOf(settings).ceilings });
const patient = { timeoutMs: 60_000 };

describe('the sum over all instances of a namespace', () => {
  it.each([
    ['memory', { namespaceMemoryMb: 200 }, {}],
    ['processors', { namespaceCpu: 1.2 }, { cpu: 0.6 }],
    ['processors of versions that name none', { namespaceCpu: 2 }, {}],
    ['processes', { namespacePids: 512 }, {}],
  ])('is held for %s: a third call waits until an instance of the others has gone', async (_what, settings, config) => {
    const { pool: slots, made } = limitedPool(settings);
    const [first] = await Promise.all(
      ['a', 'b'].map((name) => slots.acquire(version(name, { ...patient, ...config }), never)),
    );
    const third = slots.acquire(version('c', { ...patient, ...config }), never);
    await turn();
    expect(made).toHaveLength(2);
    const [a] = made;
    if (a !== undefined) a.lingers = true;
    first?.release();
    await turn();
    expect(a?.endedBy).toBe('evicted');
    expect(made).toHaveLength(2); // what is about to end still has it
    a?.go();
    expect((await third).instance).toBe(made[2]);
  });

  it('counts what is on its way, and no longer what was not started after all', async () => {
    const gives: ((slot: null) => void)[] = [];
    const { pool: slots } = pool({
      ceilings: limitsOf({ namespaceMemoryMb: 100 }).ceilings,
      start: () => new Promise((give) => gives.push(give)),
    });
    const left = new AbortController();
    const call = slots.acquire(version('a', patient), left.signal);
    void slots.acquire(version('b', patient), never);
    await turn();
    expect(gives).toHaveLength(1);
    left.abort(new Error('left'));
    await expect(call).rejects.toThrow('left');
    gives[0]?.(null);
    await turn();
    expect(gives).toHaveLength(2);
  });

  it('says which setting it is when a call has waited for its timeoutMs, and serves the next one', async () => {
    const { pool: slots } = limitedPool({ namespaceMemoryMb: 150 });
    const first = await slots.acquire(version('a', patient), never);
    const refused = await slots.acquire(version('b', { timeoutMs: 20 }), never).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(WaferError);
    expect(refused).toMatchObject({
      code: 'namespace_limit',
      message:
        'An instance of b v1 may have 100 MiB of memory; of the 150 MiB for all instances together, others have 100 MiB, and not enough came free in 20 ms.',
      hint: 'Try again in a moment; or lower memoryMb in wafer.json, or raise WAFER_NAMESPACE_MEMORY_MB.',
    });
    expect(slots.waiting()).toBe(0);
    first.release();
    expect((await slots.acquire(version('b', { timeoutMs: 20 }), never)).started).toBe(true);
  });

  it('refuses at once what is larger than all may have, also by a limit that was lowered after its deploy', async () => {
    const { pool: slots, made } = limitedPool({ namespacePids: 100 });
    await expect(slots.acquire(version('a', patient), never)).rejects.toMatchObject({
      code: 'namespace_limit',
      hint: 'Lower pids in wafer.json, or raise WAFER_NAMESPACE_PIDS.',
    });
    expect(made).toHaveLength(0);
    expect((await slots.acquire(version('b', { ...patient, pids: 64 }), never)).started).toBe(true);
  });

  it('is counted for each namespace by itself', async () => {
    const namespaceOf = ({ functionName }: FunctionVersion) => functionName.split('.')[0] ?? '';
    const { ceilings } = createNamespaceLimits({ ...NONE, namespaceMemoryMb: 100 }, namespaceOf);
    const { pool: slots, made } = pool({ ceilings });
    await slots.acquire(version('one.a', patient), never);
    const waiting = slots.acquire(version('one.b', { timeoutMs: 50 }), never);
    expect((await slots.acquire(version('two.a', patient), never)).started).toBe(true);
    await expect(waiting).rejects.toMatchObject({ code: 'namespace_limit' });
    expect(made).toHaveLength(2);
  });

  it('ends no idle instance of another namespace, and none for a call that is only likely', async () => {
    const namespaceOf = ({ functionName }: FunctionVersion) => functionName.split('.')[0] ?? '';
    const { ceilings } = createNamespaceLimits({ ...NONE, namespaceMemoryMb: 100 }, namespaceOf);
    const { pool: slots, made } = pool({ ceilings });
    (await slots.acquire(version('two.a', patient), never)).release();
    (await slots.acquire(version('one.a', patient), never)).release();
    expect((await slots.acquire(version('one.b', patient), never)).started).toBe(true);
    expect(made.map(({ endedBy }) => endedBy)).toEqual([undefined, 'evicted', undefined]);
  });

  it('leaves room for the minInstances of a version when those of others have gone', async () => {
    const { pool: slots, made } = limitedPool({ namespaceMemoryMb: 200 });
    for (const name of ['a', 'b']) (await slots.acquire(version(name, patient), never)).release();
    for (const slot of made) slot.lingers = true;
    const kept = slots.keepWarm(version('kept', { ...patient, minInstances: 2 }));
    for (const slot of made.slice(0, 2)) {
      await turn();
      expect(slot.endedBy).toBe('evicted');
      slot.go();
    }
    await kept;
    expect(made.map((slot) => slot.version.functionName)).toEqual(['a', 'b', 'kept', 'kept']);
  });
});

describe('a version', () => {
  it('of which not one instance could run is refused when it is deployed', () => {
    const { assertFits } = limitsOf({ namespaceMemoryMb: 128, namespaceCpu: 0.5, namespacePids: 128 });
    const problems = (config: object) => {
      try {
        assertFits(config);
        return null;
      } catch (error) {
        return (error as WaferError).message;
      }
    };
    expect(problems({})).toMatch(/\/memoryMb: .*256 MiB of memory.*128 MiB \(WAFER_NAMESPACE_MEMORY_MB\)/s);
    expect(problems({ memoryMb: 128, cpu: 1, pids: 128 })).toMatch(/\/cpu: .*1 processors.*0\.5 processors/);
    expect(problems({ memoryMb: 128, pids: 128 })).toBeNull();
  });

  it('without cpu has one processor where there is a limit for all, and what is free where there is none', () => {
    expect(limitsOf({}).of({})).toEqual({});
    expect(limitsOf({ namespaceCpu: 4 }).of({})).toEqual({ cpuMillis: 1000 });
    expect(limitsOf({ namespaceCpu: 4 }).of({ cpu: 2.5 })).toEqual({ cpuMillis: 2500 });
    expect(limitsOf({ namespaceCpu: 0.25 }).of({})).toEqual({ cpuMillis: 250 });
  });
});

it('the sums are told in bytes and cores, limits only where there are some', async () => {
  const limits = limitsOf({ namespaceCpu: 3 });
  const { pool: slots } = pool({ ceilings: limits.ceilings });
  await Promise.all(['a', 'b'].map((name) => slots.acquire(version(name, patient), never)));
  expect(limits.sums((amountOf) => slots.sumOf(amountOf))).toEqual({
    used: { memory_bytes: 200 * 1024 * 1024, cpu: 2, pids: 512 },
    limit: { cpu: 3 },
  });
});

describe('the settings', () => {
  it('are no limits when they are absent or 0', () => {
    expect(readConfig({})).toMatchObject(NONE);
    expect(readConfig({ WAFER_NAMESPACE_MEMORY_MB: '0', WAFER_NAMESPACE_CPU: '0' })).toMatchObject(NONE);
    const set = { WAFER_NAMESPACE_MEMORY_MB: '4096', WAFER_NAMESPACE_CPU: '1.5', WAFER_NAMESPACE_PIDS: '1000' };
    expect(readConfig(set)).toMatchObject({ namespaceMemoryMb: 4096, namespaceCpu: 1.5, namespacePids: 1000 });
  });

  it.each([
    ['WAFER_NAMESPACE_MEMORY_MB', '1.5'],
    ['WAFER_NAMESPACE_MEMORY_MB', '-1'],
    ['WAFER_NAMESPACE_MEMORY_MB', '4g'],
    ['WAFER_NAMESPACE_CPU', '0.0001'],
    ['WAFER_NAMESPACE_CPU', '1.23456'],
    ['WAFER_NAMESPACE_PIDS', '7'],
    ['WAFER_NAMESPACE_PIDS', 'Infinity'],
  ])('refuse %s=%s', (name, value) => {
    expect(() => readConfig({ [name]: value })).toThrow(`${name}=${value} is not a`);
  });
});
