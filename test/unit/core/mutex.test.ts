import { describe, expect, it } from 'vitest';
import { createMutex, createShared } from '../../../services/core/images/mutex.ts';

describe('shared work', () => {
  it('is done once for all who ask before it begins, and again for who asks while it runs', async () => {
    let begun = 0;
    let finish: () => void = () => {};
    const exclusive = createMutex();
    const ask = createShared(exclusive, () => {
      begun++;
      return new Promise<number>((resolve) => {
        const mine = begun;
        finish = () => resolve(mine);
      });
    });
    const early = [ask(), ask()];
    await new Promise(setImmediate);
    const late = [ask(), ask()];
    finish();
    expect(await Promise.all(early)).toEqual([1, 1]);
    await new Promise(setImmediate);
    finish();
    expect(await Promise.all(late)).toEqual([2, 2]);
    expect(begun).toBe(2);
  });

  it('that fails fails for those who shared it, and not for the next', async () => {
    let fails = true;
    const ask = createShared(createMutex(), async () => {
      if (fails) throw new Error('no');
      return 'done';
    });
    const first = [ask(), ask()];
    await expect(Promise.allSettled(first)).resolves.toEqual([
      expect.objectContaining({ status: 'rejected' }),
      expect.objectContaining({ status: 'rejected' }),
    ]);
    fails = false;
    expect(await ask()).toBe('done');
  });
});
