import { describe, expect, it } from 'vitest';
import { countOf, Histograms } from '../../../../services/worker/keep-alive/histograms.ts';
import {
  BINS,
  binOf,
  IN_RANGE,
  lowerEdge,
  OUT_OF_BOUNDS,
  RANGE_MS,
  upperEdge,
} from '../../../../services/worker/keep-alive/idle-bins.ts';
import { percentileBin, windowsOf } from '../../../../services/worker/keep-alive/windows.ts';

const MINUTE = 60_000;

function countsOf(idle: readonly number[]): Uint8Array {
  const counts = new Uint8Array(BINS);
  for (const ms of idle) counts[binOf(ms)] = (counts[binOf(ms)] ?? 0) + 1;
  return counts;
}

describe('bins', () => {
  it('have every idle time between their edges, which are at most 9 % apart', () => {
    for (let bin = 1; bin < IN_RANGE; bin++) {
      expect(binOf(lowerEdge(bin))).toBe(bin);
      expect(binOf(lowerEdge(bin) + 0.001)).toBe(bin);
      expect(binOf(upperEdge(bin) - 0.001)).toBe(bin);
      expect(upperEdge(bin) / lowerEdge(bin)).toBeLessThan(1.0906);
    }
  });

  it('have one for all below a second, and one for what is out of bounds', () => {
    expect([binOf(-5), binOf(0), binOf(999), binOf(Number.NaN)]).toEqual([0, 0, 0, 0]);
    expect([binOf(RANGE_MS), binOf(Number.POSITIVE_INFINITY)]).toEqual([OUT_OF_BOUNDS, OUT_OF_BOUNDS]);
    expect(binOf(RANGE_MS - 1)).toBe(IN_RANGE - 1);
  });
});

describe('percentiles', () => {
  const minutes = Array.from({ length: 100 }, (_, at) => (at + 1) * MINUTE);
  it.each([
    [0.01, 1],
    [0.05, 5],
    [0.5, 50],
    [0.99, 99],
    [1, 100],
  ])('the part %d of 1 to 100 minutes is in the bin of %i minutes', (part, minute) => {
    expect(percentileBin(countsOf(minutes), part)).toBe(binOf(minute * MINUTE));
  });

  it('leave out what is out of bounds', () => {
    expect(percentileBin(countsOf([MINUTE, MINUTE, RANGE_MS, RANGE_MS]), 1)).toBe(binOf(MINUTE));
  });
});

describe('windows', () => {
  const rules = { standardMs: MINUTE, worthMs: 16 * MINUTE };
  it('end where one more warm call would cost more idle time than a start is worth', () => {
    // Nine of ten within two minutes; the tenth after an hour would keep all of them for an hour, once in ten.
    const idle = [...Array.from({ length: 90 }, () => 2 * MINUTE), ...Array.from({ length: 10 }, () => 60 * MINUTE)];
    const cheap = windowsOf(countsOf(idle), { standardMs: MINUTE, worthMs: 2 * 3_600_000 });
    const dear = windowsOf(countsOf(idle), rules);
    expect(cheap.keepMs).toBeGreaterThan(60 * MINUTE);
    expect(dear).toMatchObject({ keepMs: upperEdge(binOf(2 * MINUTE)) - (dear.prewarmAfterMs ?? 0) });
  });

  it('are the edges of the bins of head and tail for a timer', () => {
    const bin = binOf(30 * MINUTE);
    expect(windowsOf(countsOf([1, 2, 3, 4].map(() => 30 * MINUTE)), rules)).toEqual({
      prewarmAfterMs: lowerEdge(bin),
      keepMs: upperEdge(bin) - lowerEdge(bin),
    });
  });

  it('do not end an instance for less than a minute without it', () => {
    const windows = windowsOf(countsOf(Array.from({ length: 20 }, () => 40_000)), rules);
    expect(windows.prewarmAfterMs).toBeNull();
    expect(windows.keepMs).toBeGreaterThan(40_000);
  });
});

describe('histograms', () => {
  it('halve what they counted, so that old observations fade', () => {
    const histograms = new Histograms(10);
    const slot = histograms.slotOf('a', () => '');
    histograms.add(slot, 50);
    for (let call = 0; call < 2_000; call++) histograms.add(slot, 20 + (call % 3));
    expect(countOf(histograms.counts(slot))).toBeLessThanOrEqual(255);
    expect(histograms.counts(slot)[50]).toBe(0);
  });

  it('do not fade for calls that come within a second', () => {
    const histograms = new Histograms(10);
    const slot = histograms.slotOf('a', () => '');
    histograms.add(slot, 50);
    for (let call = 0; call < 10_000; call++) histograms.add(slot, 0);
    expect([histograms.counts(slot)[0], histograms.counts(slot)[50]]).toEqual([255, 1]);
  });

  it('keep those of different versions apart while they grow', () => {
    const histograms = new Histograms(1_000);
    const mark = (at: number) =>
      histograms.add(
        histograms.slotOf(`f${at}`, () => ''),
        at % BINS,
      );
    for (let at = 0; at < 1_000; at++) mark(at);
    for (let at = 0; at < 1_000; at++) {
      const counts = histograms.counts(histograms.find(`f${at}`) ?? -1);
      expect([countOf(counts), counts[at % BINS]]).toEqual([1, 1]);
    }
  });

  it('take 203 bytes a version and no more for versions beyond the limit', () => {
    const histograms = new Histograms(10_000);
    for (let at = 0; at < 30_000; at++)
      histograms.pushIdle(
        histograms.slotOf(`function-${at}@1`, () => ''),
        at,
      );
    expect(histograms.size).toBe(10_000);
    expect(histograms.bytes).toBe(10_000 * 203);
  });
});
