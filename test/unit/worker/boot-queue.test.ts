import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type BootRank, createBootQueue } from '../../../services/worker/instances/boot-queue.ts';

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Boots that end when the test says so. */
function lab(atOnce: number) {
  const queue = createBootQueue({ atOnce });
  const started: string[] = [];
  const finish = new Map<string, (error?: Error) => void>();
  const boot = (name: string, rank: BootRank = 'call') =>
    queue.run(() => {
      started.push(name);
      return new Promise<string>((resolve, reject) =>
        finish.set(name, (error) => (error === undefined ? resolve(name) : reject(error))),
      );
    }, rank);
  return { boot, started, finish: (name: string, error?: Error) => finish.get(name)?.(error) };
}

describe('boots', () => {
  it('are as many at once as are allowed, in order of arrival', async () => {
    const { boot, started, finish } = lab(2);
    const all = ['a', 'b', 'c', 'd'].map((name) => boot(name));
    await turn();
    expect(started).toEqual(['a', 'b']);
    finish('b');
    await turn();
    expect(started).toEqual(['a', 'b', 'c']);
    for (const name of ['a', 'c']) finish(name);
    await turn();
    finish('d');
    expect(await Promise.all(all)).toEqual(['a', 'b', 'c', 'd']);
  });

  it('that a call waits for come before those that are made ahead', async () => {
    const { boot, started, finish } = lab(1);
    void boot('first', 'ahead');
    void boot('ahead', 'ahead');
    void boot('few', 'few');
    void boot('call', 'call');
    await turn();
    for (const name of ['first', 'call', 'few']) {
      finish(name);
      await turn();
    }
    expect(started).toEqual(['first', 'call', 'few', 'ahead']);
  });

  it('that nobody waits for yet leave half of the processors to calls', async () => {
    const { boot, started, finish } = lab(4);
    for (const name of ['a', 'b', 'c', 'd']) void boot(name, 'ahead');
    await turn();
    expect(started).toEqual(['a', 'b']);
    void boot('few', 'few');
    void boot('call', 'call');
    await turn();
    expect(started).toEqual(['a', 'b', 'few', 'call']);
    finish('few');
    finish('call');
    await turn();
    expect(started).toHaveLength(4);
    finish('a');
    await turn();
    expect(started.at(-1)).toBe('c');
  });

  it('that fail give their place up, and say why', async () => {
    const { boot, started, finish } = lab(1);
    const failing = boot('failing');
    void boot('next');
    await turn();
    finish('failing', new Error('no'));
    await expect(failing).rejects.toThrow('no');
    await turn();
    expect(started).toEqual(['failing', 'next']);
  });
});

describe('a boot that never ends', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
  afterEach(() => void vi.useRealTimers());

  it('does not keep others from booting, and its place is given away once', async () => {
    const { boot, started, finish } = lab(1);
    const slow = boot('hangs');
    void boot('second');
    void boot('third');
    await turn();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(started).toEqual(['hangs', 'second', 'third']);
    void boot('fourth');
    await turn();
    finish('hangs');
    expect(await slow).toBe('hangs');
    await turn();
    // The third has its place still.
    finish('third');
    await turn();
    expect(started).toEqual(['hangs', 'second', 'third', 'fourth']);
  });
});
