/**
 * One histogram of idle times per version, and what else is known of it, in two blocks of
 * numbers that all share: 203 bytes and a name each, thousands of them without an object.
 */
import { BINS } from './idle-bins.ts';
import { createSlots, type Slots } from './slots.ts';
import type { Windows } from './windows.ts';

/**
 * Halved when this many are counted, without those in the first bin, which change no window: what was
 * seen last weighs more, and what a version did once is forgotten.
 */
const MOST_COUNTED = 255;
/** A conclusion stands until the counts have grown by this part: a busy version is looked at once in many calls. */
const STALE_PART = 16;
/** Instances of one version whose idle times are known at once. */
const DEPTH = 8;
const FIRST_SLOTS = 64;

/** Bytes of a slot: the bins, and how many additions the conclusion still stands. */
const STANDING = BINS;
const BYTES = BINS + 1;
/** Numbers of a slot: since when instances are idle, latest first; the conclusion; mean time of a start. */
const KEEP = DEPTH;
const PREWARM = DEPTH + 1;
const START = DEPTH + 2;
const NUMBERS = DEPTH + 3;

/** A slot may be another version's after the next `slotOf`. */
export class Histograms {
  readonly #capacity: number;
  readonly #slots: Slots;
  #bytes = new Uint8Array(FIRST_SLOTS * BYTES);
  #numbers = new Float64Array(FIRST_SLOTS * NUMBERS);

  constructor(capacity: number) {
    this.#capacity = capacity;
    this.#slots = createSlots(capacity);
  }

  get size(): number {
    return this.#slots.size;
  }

  /** Of the blocks; names and their index come on top. */
  get bytes(): number {
    return this.#bytes.byteLength + this.#numbers.byteLength;
  }

  /** Made when there is none: with what is known of `heirOf`, which is forgotten, else empty. */
  slotOf(name: string, heirOf: () => string): number {
    const { slot, isNew } = this.#slots.take(name, heirOf);
    if (!isNew) return slot;
    if ((slot + 1) * BYTES > this.#bytes.length) this.#grow();
    this.#bytes.fill(0, slot * BYTES, (slot + 1) * BYTES);
    this.#numbers.fill(Number.NaN, slot * NUMBERS, (slot + 1) * NUMBERS);
    return slot;
  }

  find(name: string): number | undefined {
    return this.#slots.find(name);
  }

  /** A view. */
  counts(slot: number): Uint8Array {
    return this.#bytes.subarray(slot * BYTES, slot * BYTES + BINS);
  }

  add(slot: number, bin: number): void {
    const counts = this.counts(slot);
    if (countOf(counts) - (counts[0] ?? 0) >= MOST_COUNTED) halve(counts);
    counts[bin] = Math.min(255, (counts[bin] ?? 0) + 1);
    const standing = slot * BYTES + STANDING;
    this.#bytes[standing] = Math.max(0, (this.#bytes[standing] ?? 0) - 1);
  }

  /** An instance became idle. The last few are known, also when their instance has been ended since. */
  pushIdle(slot: number, time: number): void {
    const idle = this.#idle(slot);
    idle.copyWithin(1, 0);
    idle[0] = time;
  }

  /** The latest that no call took yet; NaN when there is none. */
  popIdle(slot: number): number {
    const idle = this.#idle(slot);
    const latest = idle[0] ?? Number.NaN;
    idle.copyWithin(0, 1);
    idle[DEPTH - 1] = Number.NaN;
    return latest;
  }

  /** Null when enough has been added since that it has to be drawn again. */
  conclusion(slot: number): Windows | null {
    if (this.#bytes[slot * BYTES + STANDING] === 0) return null;
    const prewarmAfterMs = this.#get(slot, PREWARM);
    return { keepMs: this.#get(slot, KEEP), prewarmAfterMs: Number.isNaN(prewarmAfterMs) ? null : prewarmAfterMs };
  }

  conclude(slot: number, { keepMs, prewarmAfterMs }: Windows): void {
    this.#numbers[slot * NUMBERS + KEEP] = keepMs;
    this.#numbers[slot * NUMBERS + PREWARM] = prewarmAfterMs ?? Number.NaN;
    const stands = Math.floor(countOf(this.counts(slot)) / STALE_PART);
    this.#bytes[slot * BYTES + STANDING] = Math.max(1, stands);
  }

  /** Mean milliseconds; NaN when none was seen. */
  startMs(slot: number): number {
    return this.#get(slot, START);
  }

  sawStart(slot: number, ms: number): void {
    const before = this.#get(slot, START);
    this.#numbers[slot * NUMBERS + START] = Number.isNaN(before) ? ms : before + (ms - before) / 4;
  }

  #get(slot: number, field: number): number {
    return this.#numbers[slot * NUMBERS + field] ?? Number.NaN;
  }

  #idle(slot: number): Float64Array {
    return this.#numbers.subarray(slot * NUMBERS, slot * NUMBERS + DEPTH);
  }

  #grow(): void {
    const count = Math.min(this.#capacity, (this.#bytes.length / BYTES) * 2);
    const bytes = new Uint8Array(count * BYTES);
    bytes.set(this.#bytes);
    this.#bytes = bytes;
    const numbers = new Float64Array(count * NUMBERS);
    numbers.set(this.#numbers);
    this.#numbers = numbers;
  }
}

export function countOf(counts: Uint8Array): number {
  let total = 0;
  for (const count of counts) total += count;
  return total;
}

function halve(counts: Uint8Array): void {
  for (let bin = 0; bin < counts.length; bin++) counts[bin] = (counts[bin] ?? 0) >> 1;
}
