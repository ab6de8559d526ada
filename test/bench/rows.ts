/** Rows out of samples. */

import { type Summary, summarize } from './stats.ts';
import type { Figure, Row, Target } from './types.ts';

export const atMost = (value: number): Target => ({ op: '<=', value });
export const atLeast = (value: number): Target => ({ op: '>=', value });
export const below = (value: number): Target => ({ op: '<', value });

export function reaches(value: number, { op, value: limit }: Target): boolean {
  if (op === '<=') return value <= limit;
  return op === '<' ? value < limit : value >= limit;
}

export interface Compared {
  what: string;
  ours: readonly number[];
  reference: { name: string; samples: readonly number[] };
  /** Ours / reference. */
  p50?: Target | null;
  p99?: Target | null;
  /** Reference / ours, of the medians. */
  faster?: Target;
  notes?: string[];
}

/** Times of both, from one run. */
export function compare({ what, ours, reference, p50, p99, faster, notes = [] }: Compared): Row {
  const mine = summarize(ours);
  const theirs = summarize(reference.samples);
  const figures: Figure[] = [];
  if (p50 !== undefined) figures.push({ what: 'p50 ratio', value: mine.p50 / theirs.p50, target: p50 });
  if (p99 !== undefined) figures.push({ what: 'p99 ratio', value: mine.p99 / theirs.p99, target: p99 });
  if (faster !== undefined) figures.push({ what: 'times faster', value: theirs.p50 / mine.p50, target: faster });
  return { what, unit: 'ms', ours: mine, reference: { name: reference.name, ...theirs }, figures, notes };
}

/** A peer that this machine does not have. Never a number that was not measured. */
export const notHere = (what: string, reason: string, ours: Summary | null = null): Row => ({
  what,
  unit: 'ms',
  ours,
  reference: null,
  figures: [],
  notes: [],
  missing: { kind: 'not here', reason },
});
