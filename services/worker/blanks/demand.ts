/**
 * How many blanks are to be ready: by Little's law as many as are taken while one boots, and
 * on top the most of late that were taken and not made again yet. Pure; times are
 * milliseconds of one clock.
 */

/** What is known of first calls. */
export interface Demand {
  /** When the numbers were true. */
  at: number;
  /** Takes per millisecond of late. */
  rate: number;
  /** Taken, and not made again since. */
  lack: number;
  /** The largest lack; forgotten slowly. */
  peak: number;
  /** How long a boot takes. */
  bootMs: number;
}

/** How long a mean of the rate looks back. */
const RATE_MS = 30_000;
/** A burst counts half after this time. */
const PEAK_HALF_LIFE_MS = 10 * 60_000;
/** When none was seen. */
const FIRST_BOOT_MS = 25;
/** Of a mean of boot times; a single slow one means little. */
const BOOT_WEIGHT = 1 / 8;

export const noDemand = (now: number): Demand => ({ at: now, rate: 0, lack: 0, peak: 0, bootMs: FIRST_BOOT_MS });

/** A blank was wanted, whether there was one or not. */
export function sawTake(demand: Demand, now: number): Demand {
  const { rate, lack, peak, ...rest } = later(demand, now);
  return { ...rest, rate: rate + 1 / RATE_MS, lack: lack + 1, peak: Math.max(peak, lack + 1) };
}

/** One was made, for a call or ahead. */
export const sawBoot = (demand: Demand, tookMs: number): Demand => ({
  ...demand,
  lack: Math.max(0, demand.lack - 1),
  bootMs: demand.bootMs + (tookMs - demand.bootMs) * BOOT_WEIGHT,
});

/** All are there that are wanted now: what was taken and not made again is not missed. */
export const sawFull = (demand: Demand): Demand => ({ ...demand, lack: 0 });

/** Between `floor` and `ceiling`; the floor wins. */
export function wantedBlanks(
  demand: Demand,
  now: number,
  { floor, ceiling }: { floor: number; ceiling: number },
): number {
  const { rate, peak, bootMs } = later(demand, now);
  const wanted = Math.round(rate * bootMs + peak);
  return Math.max(floor, Math.min(wanted, ceiling));
}

/** What is left of it when nothing has been taken since. */
function later(demand: Demand, now: number): Demand {
  const ms = Math.max(0, now - demand.at);
  return {
    ...demand,
    at: now,
    rate: demand.rate * Math.exp(-ms / RATE_MS),
    peak: demand.peak * 2 ** (-ms / PEAK_HALF_LIFE_MS),
  };
}
