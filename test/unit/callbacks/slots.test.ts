import { describe, expect, it } from 'vitest';
import { createSlots } from '../../../services/core/triggers/callbacks/slots.ts';

describe('slots', () => {
  const open = (limits: { perHost: number; bytes: number }) => {
    const clock = { now: 1_000_000 };
    const slots = createSlots(limits, () => clock.now);
    const take = (host: string | null, bytes = 1) => {
      const taken = slots.take(host, bytes);
      return 'done' in taken ? taken.done : null;
    };
    const waits = (host: string, bytes = 1) => {
      const taken = slots.take(host, bytes);
      return 'at' in taken ? taken.at - clock.now : 0;
    };
    return { clock, take, waits };
  };

  it('are so many for a receiver, and as many for each other one', () => {
    const { take } = open({ perHost: 2, bytes: 100 });
    const first = take('a');
    expect([take('a') !== null, take('a'), take('b') !== null]).toEqual([true, null, true]);
    first?.();
    expect(take('a')).not.toBeNull();
  });

  it('are not counted for functions', () => {
    const { take } = open({ perHost: 1, bytes: 100 });
    expect([take(null), take(null), take(null)].every((one) => one !== null)).toBe(true);
  });

  it('hold so many bytes together; what is larger than all goes alone', () => {
    const { take } = open({ perHost: 9, bytes: 100 });
    const large = take('a', 500);
    expect([large !== null, take('b', 1)]).toEqual([true, null]);
    large?.();
    expect([take('b', 60) !== null, take('c', 60)]).toEqual([true, null]);
  });

  it('are promised one after another, as fast as the receiver has been', () => {
    const { clock, take, waits } = open({ perHost: 2, bytes: 100 });
    let before = take('slow');
    for (let round = 0; round < 50; round++) {
      const next = take('slow');
      clock.now += 4_000;
      before?.();
      before = next;
    }
    take('slow');
    const promised = [waits('slow'), waits('slow'), waits('slow')];
    expect(promised.map((wait) => Math.round(wait / 100) / 10)).toEqual([4.2, 8.2, 12.2]);
    expect(waits('quick')).toBe(0);
  });
});
