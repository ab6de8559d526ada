/**
 * How much output of one instance is kept: a bucket of lines and bytes that fills with
 * time. A function that floods its output costs the worker's one thread nothing but the
 * reading, and leaves a mark where lines are missing.
 */

/** What the store keeps of a function at once; then a rate that nobody reads faster. */
const BURST = { lines: 10_000, bytes: 8 * 1024 * 1024 };
const PER_SECOND = { lines: 1_000, bytes: 1024 * 1024 };
/** An empty bucket stays shut until it holds this part of a burst: else every chunk of a flood would be let in for one line. */
const REOPEN = 0.1;
const LINE_OVERHEAD_BYTES = 100;

export interface OutputMeter {
  /** Whether a line of so many bytes is kept. A line that is not is counted. */
  take(bytes: number): boolean;
  /** Nothing is kept now: what comes need not even be split into lines. */
  isShut(): boolean;
  /** Counts bytes that were not split into lines. */
  drop(bytes: number): void;
  /** Tells of what was dropped and not told yet. */
  flush(): void;
}

export interface OutputMeterOptions {
  /** Monotonic milliseconds. */
  now: () => number;
  /** Bytes that were lost since the last time. Must not throw. */
  onDropped: (bytes: number) => void;
}

export function createOutputMeter({ now, onDropped }: OutputMeterOptions): OutputMeter {
  let { lines, bytes } = BURST;
  let filledAt = now();
  let shut = false;
  let lost = 0;

  const fill = () => {
    const seconds = (now() - filledAt) / 1000;
    filledAt += seconds * 1000;
    lines = Math.min(BURST.lines, lines + seconds * PER_SECOND.lines);
    bytes = Math.min(BURST.bytes, bytes + seconds * PER_SECOND.bytes);
  };
  const flush = () => {
    if (lost === 0) return;
    const told = lost;
    lost = 0;
    onDropped(told);
  };
  const isShut = () => {
    if (!shut) return false;
    fill();
    if (lines < BURST.lines * REOPEN || bytes < BURST.bytes * REOPEN) return true;
    shut = false;
    flush();
    return false;
  };
  return {
    isShut,
    flush,
    drop: (count) => {
      lost += count;
    },
    take(count) {
      if (!isShut()) {
        if (lines < 1 || bytes < 0) fill();
        if (lines >= 1 && bytes >= 0) {
          lines -= 1;
          bytes -= count + LINE_OVERHEAD_BYTES;
          return true;
        }
        shut = true;
      }
      lost += count;
      return false;
    },
  };
}
