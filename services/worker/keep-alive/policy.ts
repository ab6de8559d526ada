/**
 * How long an instance without calls is kept, when one is started ahead of a call, and
 * which one goes first when memory is short. It is asked by the pool and has no timers;
 * what it learned is not kept over a restart.
 */
import type { FunctionVersion } from '../../core/functions/types.ts';
import { Histograms } from './histograms.ts';
import { binOf, lowerEdge, upperEdge } from './idle-bins.ts';
import { type Windows, windowsOf } from './windows.ts';

/** What the policy knows a version by. */
export type Kept = Pick<FunctionVersion, 'functionName' | 'number'> & { config: { memoryMb: number } };

/** All times in milliseconds of one clock. */
export interface KeepAlivePolicy {
  /** A call of the version came. */
  onCall(version: Kept, now: number): void;
  /** An instance of the version has nothing to do. */
  onIdle(version: Kept, now: number): Windows;
  /** An instance of the version was started. */
  onStarted(version: Kept, tookMs: number): void;
  /** What an idle instance is worth; the least goes first. Comparable between versions at the same `now` only. */
  value(version: Kept, idleSince: number, now: number): number;
}

export interface PolicyOptions {
  standardMs: number;
  /** Versions that are known at once. */
  capacity?: number;
  worthMs?: number;
}

/** A call within this time is soon. */
const SOON_MS = 60_000;
const CAPACITY = 10_000;
/** When none was seen. */
const START_MS = 25;
/**
 * The price at which the simulation (test/bench/simulate.ts) has fewer cold starts than ten minutes
 * of keep-alive and less idle memory, on traces of half a day and more; a higher one trades memory for them.
 */
export const WORTH_MS = 16 * 60_000;

const keyOf = (functionName: string, number: number) => `${functionName}@${number}`;

/** Learns the idle times of each version. A new version goes on with what was learned of the one before it. */
export function createLearnedPolicy({
  standardMs,
  capacity = CAPACITY,
  worthMs = WORTH_MS,
}: PolicyOptions): KeepAlivePolicy {
  const histograms = new Histograms(capacity);
  const slotOf = ({ functionName, number }: Kept) =>
    histograms.slotOf(keyOf(functionName, number), () => keyOf(functionName, number - 1));
  return {
    onCall(version, now) {
      const slot = slotOf(version);
      const since = histograms.popIdle(slot);
      if (!Number.isNaN(since)) histograms.add(slot, binOf(now - since));
    },
    onIdle(version, now) {
      const slot = histograms.find(keyOf(version.functionName, version.number)) ?? slotOf(version);
      histograms.pushIdle(slot, now);
      const known = histograms.conclusion(slot);
      if (known !== null) return known;
      const windows = windowsOf(histograms.counts(slot), { standardMs, worthMs });
      histograms.conclude(slot, windows);
      return windows;
    },
    onStarted: (version, tookMs) => histograms.sawStart(slotOf(version), tookMs),
    value({ functionName, number, config }, idleSince, now) {
      const slot = histograms.find(keyOf(functionName, number));
      const counts = slot === undefined ? undefined : histograms.counts(slot);
      const startMs = (slot === undefined ? 0 : histograms.startMs(slot)) || START_MS;
      return (soon(counts, Math.max(0, now - idleSince)) * startMs) / config.memoryMb;
    },
  };
}

/** Every instance is kept for the same time; the least recently used one goes first. */
export const createFixedPolicy = (keepMs: number): KeepAlivePolicy => ({
  onCall: () => {},
  onIdle: () => ({ keepMs, prewarmAfterMs: null }),
  onStarted: () => {},
  value: (_version, idleSince) => idleSince,
});

/**
 * How likely a call within `SOON_MS` is after this idle time: the part of the longer idle times in the histogram
 * that ends then, and one more observation of a version that nothing is known of, for which the chance falls with the time.
 */
function soon(counts: Uint8Array | undefined, idleMs: number): number {
  const unknown = SOON_MS / (SOON_MS + idleMs);
  if (counts === undefined) return unknown / 2;
  let longer = 1;
  let within = unknown / 2;
  for (let bin = binOf(idleMs); bin < counts.length; bin++) {
    const count = counts[bin] ?? 0;
    if (count === 0) continue;
    const from = Math.max(idleMs, lowerEdge(bin));
    const width = upperEdge(bin) - lowerEdge(bin);
    const rest = width === 0 ? 1 : (upperEdge(bin) - from) / width;
    longer += count * rest;
    within += width === 0 ? 0 : count * (Math.max(0, Math.min(upperEdge(bin), idleMs + SOON_MS) - from) / width);
  }
  return within / longer;
}
