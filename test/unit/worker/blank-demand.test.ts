/** How many blanks are to be ready, by what is taken, on a clock that the test moves. */
import { describe, expect, it } from 'vitest';
import { type Demand, noDemand, sawBoot, sawTake, wantedBlanks } from '../../../services/worker/blanks/demand.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const AT_ONCE = 2;

const wanted = (demand: Demand, now: number, bounds: { floor?: number; ceiling?: number } = {}) =>
  wantedBlanks(demand, now, { floor: 2, ceiling: 1_000, atOnce: AT_ONCE, ...bounds });
const takes = (times: readonly number[], demand = noDemand(0)) =>
  times.reduce((before, time) => sawTake(before, time, AT_ONCE), demand);
const steady = (perSecond: number, ms: number) =>
  Array.from({ length: Math.floor((perSecond * ms) / SECOND) }, (_, at) => (at * SECOND) / perSecond);

describe('the number of blanks', () => {
  it('is the floor while nothing is taken, and while takes are slower than boots', () => {
    expect(wanted(noDemand(0), 0)).toBe(2);
    expect(wanted(takes(steady(2, MINUTE)), MINUTE)).toBe(2);
    expect(wanted(takes(steady(2, MINUTE)), MINUTE, { floor: 5 })).toBe(5);
  });

  it('is as many as were wanted at once, after a burst', () => {
    const burst = takes(Array(100).fill(0));
    expect(wanted(burst, 0)).toBe(100);
    expect(wanted(takes([0, 1, 2, 3, 4, 5, 6, 7]), 10)).toBeGreaterThanOrEqual(7);
  });

  it('grows with what boots can not follow, not with what they can', () => {
    const slow = takes(steady(60, 10 * SECOND)); // two boots of 25 ms at once make 80 a second
    const fast = takes(steady(120, 10 * SECOND));
    expect(wanted(slow, 10 * SECOND)).toBeLessThan(5);
    expect(wanted(fast, 10 * SECOND)).toBeGreaterThan(350);
  });

  it('follows how long a boot takes: by Little as many as are taken meanwhile', () => {
    const slowly = Array.from({ length: 100 }).reduce<Demand>((demand) => sawBoot(demand, 2 * SECOND), noDemand(0));
    const demand = takes(steady(1, 5 * MINUTE), slowly);
    const quick = takes(steady(1, 5 * MINUTE));
    expect(wanted(demand, 5 * MINUTE, { floor: 0 })).toBeGreaterThanOrEqual(3);
    expect(wanted(quick, 5 * MINUTE, { floor: 0 })).toBe(1);
  });

  it('shrinks slowly after a burst, to the floor', () => {
    const burst = takes(Array(64).fill(0));
    expect(wanted(burst, MINUTE)).toBeGreaterThan(55);
    expect(wanted(burst, 10 * MINUTE)).toBe(32);
    expect(wanted(burst, 60 * MINUTE)).toBe(2);
    // One more first call does not bring the burst back.
    expect(wanted(takes([60 * MINUTE], burst), 60 * MINUTE)).toBe(2);
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
