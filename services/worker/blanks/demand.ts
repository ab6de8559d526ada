/**
 * How many blanks are to be ready: by Little's law as many as are taken while one boots, and
 * on top what the largest burst of late took faster than boots can follow. Pure; times are
 * milliseconds of one clock.
 */

/** What is known of first calls. */
export interface Demand {
  /** When the numbers were true. */
  at: number;
  /** Takes per millisecond of late. */
  rate: number;
  /** Blanks that a shelf would lack now that had been full and was refilled as fast as boots go. */
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

/** A blank was wanted, whether there was one or not. `atOnce`: boots that go on beside one another. */
export function sawTake(demand: Demand, now: number, atOnce: number): Demand {
  const { rate, lack, peak, ...rest } = later(demand, now, atOnce);
  return { ...rest, rate: rate + 1 / RATE_MS, lack: lack + 1, peak: Math.max(peak, lack + 1) };
}

export const sawBoot = (demand: Demand, tookMs: number): Demand => ({
  ...demand,
  bootMs: demand.bootMs + (tookMs - demand.bootMs) * BOOT_WEIGHT,
});

/** Between `floor` and `ceiling`; the floor wins. */
export function wantedBlanks(
  demand: Demand,
  now: number,
  { floor, ceiling, atOnce }: { floor: number; ceiling: number; atOnce: number },
): number {
  const { rate, peak, bootMs } = later(demand, now, atOnce);
  // A whole one for each part, but not for the remains of a burst long ago.
  const wanted = Math.round(rate * bootMs + peak);
  return Math.max(floor, Math.min(wanted, ceiling));
}

/** What is left of it when nothing has been taken since. */
function later(demand: Demand, now: number, atOnce: number): Demand {
  const ms = Math.max(0, now - demand.at);
  return {
    at: now,
    rate: demand.rate * Math.exp(-ms / RATE_MS),
    lack: Math.max(0, demand.lack - (ms * atOnce) / demand.bootMs),
    peak: demand.peak * 2 ** (-ms / PEAK_HALF_LIFE_MS),
    bootMs: demand.bootMs,
  };
}
