import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { startRounds } from '../../../services/core/rounds.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const counted = (work: (number: number) => Promise<void>) => {
  let begun = 0;
  const troubles: unknown[] = [];
  const rounds = startRounds({ everyMs: 100, work: () => work(++begun), onTrouble: (error) => troubles.push(error) });
  return { rounds, troubles, begun: () => begun };
};

describe('rounds', () => {
  it('begin so long after the last one ended, not after it began', async () => {
    const { rounds, begun } = counted(() => new Promise((done) => setTimeout(done, 250)));
    await vi.advanceTimersByTimeAsync(99);
    expect(begun()).toBe(0);
    await vi.advanceTimersByTimeAsync(1);
    expect(begun()).toBe(1);
    await vi.advanceTimersByTimeAsync(349);
    expect(begun()).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(begun()).toBe(2);
    const closing = rounds.close();
    await vi.runAllTimersAsync();
    await closing;
    expect(begun()).toBe(2);
  });

  it('that are asked for come one after another; those asked for in a hurry are one', async () => {
    let running = 0;
    let most = 0;
    const { rounds, begun } = counted(async () => {
      most = Math.max(most, ++running);
      await new Promise((done) => setTimeout(done, 10));
      running--;
    });
    void rounds.round();
    void rounds.round();
    rounds.hurry(5);
    rounds.hurry(5);
    await vi.advanceTimersByTimeAsync(60);
    expect([begun(), most]).toEqual([3, 1]);
    await rounds.close();
    rounds.hurry(5);
    await vi.advanceTimersByTimeAsync(1000);
    expect(begun()).toBe(3);
  });

  it('tell of trouble when it begins, go on, and tell of the next one', async () => {
    const { rounds, troubles } = counted(async (number) => {
      if (number !== 3) throw new Error(String(number));
    });
    await vi.advanceTimersByTimeAsync(450);
    expect(troubles).toEqual([new Error('1'), new Error('4')]);
    await rounds.close();
  });
});
