/** How many blanks are to be ready, by what is taken, on a clock that the test moves. */
import { describe, expect, it } from 'vitest';
import {
  type Demand,
  noDemand,
  sawBoot,
  sawFull,
  sawTake,
  wantedBlanks,
} from '../../../services/worker/blanks/demand.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const BOOT_MS = 25;

const wanted = (demand: Demand, now: number, bounds: { floor?: number; ceiling?: number } = {}) =>
  wantedBlanks(demand, now, { floor: 2, ceiling: 1_000, ...bounds });
const takes = (times: readonly number[], demand = noDemand(0)) =>
  times.reduce((before, time) => sawTake(before, time), demand);
/** Takes at a rate, and boots of what was taken, two at once. */
function steady(perSecond: number, ms: number, bootMs = BOOT_MS, first = noDemand(0)): Demand {
  let demand = first;
  let booted = 0;
  for (let at = 0; at < (perSecond * ms) / SECOND; at++) {
    const now = (at * SECOND) / perSecond;
    demand = sawTake(demand, now);
    for (; booted < at && (booted + 1) * (bootMs / 2) <= now; booted++) demand = sawBoot(demand, bootMs);
  }
  return demand;
}

describe('the number of blanks', () => {
  it('is the floor while nothing is taken, and while takes are slower than boots', () => {
    expect(wanted(noDemand(0), 0)).toBe(2);
    expect(wanted(steady(2, MINUTE), MINUTE)).toBe(2);
    expect(wanted(steady(2, MINUTE), MINUTE, { floor: 5 })).toBe(5);
  });

  it('is as many as were wanted at once, after a burst', () => {
    const burst = takes(Array(100).fill(0));
    expect(wanted(burst, 0)).toBe(100);
    expect(wanted(takes([0, 1, 2, 3, 4, 5, 6, 7]), 10)).toBeGreaterThanOrEqual(7);
  });

  it('grows with what boots can not follow, not with what they can', () => {
    const slow = steady(60, 10 * SECOND); // two boots of 25 ms at once make 80 a second
    const fast = steady(120, 10 * SECOND);
    expect(wanted(slow, 10 * SECOND)).toBeLessThan(5);
    expect(wanted(fast, 10 * SECOND)).toBeGreaterThan(350);
  });

  it('follows how long a boot takes: by Little as many as are taken meanwhile', () => {
    const slowly = steady(1, 5 * MINUTE, 1.9 * SECOND);
    const quick = steady(1, 5 * MINUTE);
    expect(wanted(slowly, 5 * MINUTE, { floor: 0 })).toBeGreaterThan(wanted(quick, 5 * MINUTE, { floor: 0 }));
  });

  it('does not take a burst for a larger one because boots were slow between two', () => {
    let demand = takes(Array(50).fill(0));
    for (let count = 0; count < 50; count++) demand = sawBoot(demand, 4 * SECOND);
    expect(wanted(takes(Array(50).fill(MINUTE), demand), MINUTE)).toBeLessThanOrEqual(60);
  });

  it('shrinks slowly after a burst, to the floor', () => {
    const burst = takes(Array(64).fill(0));
    expect(wanted(burst, MINUTE)).toBeGreaterThan(55);
    expect(wanted(burst, 10 * MINUTE)).toBe(32);
    expect(wanted(burst, 60 * MINUTE)).toBe(2);
    // One more first call does not bring the burst back, also when it was never made again.
    expect(wanted(takes([60 * MINUTE], sawFull(burst)), 60 * MINUTE)).toBe(2);
  });

  it('never passes what memory allows, but for the floor', () => {
    const burst = takes(Array(100).fill(0));
    expect(wanted(burst, 0, { ceiling: 30 })).toBe(30);
    expect(wanted(burst, 0, { ceiling: 1 })).toBe(2);
    expect(wanted(burst, 0, { ceiling: -5 })).toBe(2);
  });

  it('does not mind a clock that stands still or goes back', () => {
    const burst = takes([100, 100, 50]);
    expect(wanted(burst, 20)).toBe(3);
  });
});
