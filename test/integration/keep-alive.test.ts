/** The worker's policy on generated traces: what it is for, and that the traces have the shape that it is for. */
import { describe, expect, it } from 'vitest';
import { createFixedPolicy } from '../../services/worker/keep-alive/policy.ts';
import { compare } from '../bench/keep-alive.ts';
import { simulate } from '../bench/simulate.ts';
import { makeTrace } from '../bench/trace.ts';

const SMALL = { functions: 150, hours: 12 };

describe('keep-alive on a trace', () => {
  it.each([1, 2, 3])('has fewer cold starts than ten minutes for all, and less memory (seed %i)', (seed) => {
    const { fixed, learned, shortByWorth, shortByUse } = compare({ seed, ...SMALL });
    expect(learned.cold).toBeLessThan(fixed.cold);
    expect(learned.idleMbSeconds).toBeLessThan(fixed.idleMbSeconds);
    expect(learned.idleMbP99).toBeLessThan(fixed.idleMbP99);
    expect(shortByWorth.evicted).toBeGreaterThan(0);
    expect(shortByWorth.cold).toBeLessThan(shortByUse.cold);
  });
});

describe('a trace', () => {
  it('is the same for the same seed, and another for another', () => {
    const small = { functions: 50, hours: 2 };
    expect(makeTrace({ seed: 7, ...small })).toEqual(makeTrace({ seed: 7, ...small }));
    expect(makeTrace({ seed: 8, ...small }).times.length).not.toBe(makeTrace({ seed: 7, ...small }).times.length);
  });

  it('has the published rates: 45 % at most hourly, 81 % at most once a minute, over eight orders of magnitude', () => {
    const rates = makeTrace({ seed: 1, functions: 5_000, hours: 0.01 }).functions.map(({ rate }) => rate);
    const part = (atMost: number) => rates.filter((rate) => rate <= atMost).length / rates.length;
    expect(part(1 / 3_600)).toBeCloseTo(0.45, 1);
    expect(part(1 / 60)).toBeCloseTo(0.81, 1);
    expect(Math.log10(Math.max(...rates) / Math.min(...rates))).toBeGreaterThan(7.5);
  });

  it('has functions of every kind, and calls in order of time', () => {
    const { functions, times, callees } = makeTrace({ seed: 1, ...SMALL });
    expect(new Set(functions.map(({ kind }) => kind))).toEqual(new Set(['periodic', 'bursty', 'random', 'once']));
    expect(times.every((time, at) => at === 0 || time >= (times[at - 1] ?? 0))).toBe(true);
    const once = functions.findIndex(({ kind }) => kind === 'once');
    expect(callees.filter((callee) => callee === once)).toHaveLength(1);
  });
});

describe('the simulation', () => {
  const trace = {
    functions: [{ name: 'f', kind: 'random' as const, rate: 1, memoryMb: 100 }],
    times: Float64Array.from([0, 60_000, 700_000]),
    callees: Uint32Array.from([0, 0, 0]),
    durations: Float32Array.from([1_000, 1_000, 1_000]),
    hours: 1,
  };

  it('counts starts and idle memory as they are', () => {
    const { cold, calls, idleMbSeconds } = simulate(trace, createFixedPolicy(600_000));
    expect({ cold, calls }).toEqual({ cold: 2, calls: 3 });
    // 59 s to the second call; then and after the third the whole ten minutes.
    expect(idleMbSeconds).toBeCloseTo(100 * (59 + 600 + 600), 5);
  });

  it('ends idle instances of others when memory is short', () => {
    const two = { ...trace, functions: [...trace.functions, ...trace.functions], callees: Uint32Array.from([0, 1, 0]) };
    expect(simulate(two, createFixedPolicy(3_600_000), { budgetMb: 100 })).toMatchObject({ cold: 3, evicted: 2 });
    expect(simulate(two, createFixedPolicy(3_600_000))).toMatchObject({ cold: 2, evicted: 0 });
  });
});
