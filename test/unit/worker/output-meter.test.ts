import { describe, expect, it } from 'vitest';
import { lineSplitter } from '../../../services/worker/output/lines.ts';
import { createOutputMeter } from '../../../services/worker/output/meter.ts';

function open() {
  let time = 0;
  const dropped: number[] = [];
  const meter = createOutputMeter({ now: () => time, onDropped: (bytes) => dropped.push(bytes) });
  const takeUntilFull = (bytes: number) => {
    let taken = 0;
    while (taken < 100_000 && meter.take(bytes)) taken++;
    return taken;
  };
  return { meter, dropped, takeUntilFull, pass: (ms: number) => (time += ms) };
}

describe('output meter', () => {
  it('keeps a burst of 10,000 lines, or 8 MiB, and no more', () => {
    expect(open().takeUntilFull(0)).toBe(10_000);
    expect(open().takeUntilFull(65_536)).toBe(128);
  });
  it('stays shut until a tenth of a burst is there again', () => {
    const { meter, takeUntilFull, pass } = open();
    takeUntilFull(10);
    pass(990);
    expect([meter.isShut(), meter.take(1)]).toEqual([true, false]);
    pass(11);
    expect(meter.isShut()).toBe(false);
    expect(takeUntilFull(10)).toBe(1001);
  });
  it('never holds more than a burst, however long nothing came', () => {
    const { takeUntilFull, pass } = open();
    takeUntilFull(0);
    pass(3_600_000);
    expect(takeUntilFull(0)).toBe(10_000);
  });
  it('tells each lost byte once, when there is room again or at the end', () => {
    const { meter, dropped, takeUntilFull, pass } = open();
    takeUntilFull(7);
    meter.drop(1000);
    expect(dropped).toEqual([]);
    pass(5000);
    meter.take(1);
    meter.flush();
    expect(dropped).toEqual([1007]);
  });
});

describe('line splitter', () => {
  it('does not show the tail of a line that began in skipped bytes', () => {
    const lines: string[] = [];
    const splitter = lineSplitter(100);
    const emit = (line: string) => lines.push(line);
    splitter.push(Buffer.from('begun '), emit);
    splitter.skip(Buffer.from('lost\nlost too'));
    splitter.push(Buffer.from(' and its tail\nwhole\n'), emit);
    splitter.skip(Buffer.from('lost\n'));
    splitter.push(Buffer.from('last'), emit);
    splitter.end(emit);
    expect(lines).toEqual(['whole', 'last']);
  });
});
