/**
 * What a histogram of idle times says about the next one: when an instance has to be there,
 * and for how long. The start is the hybrid histogram of Shahrad et al., "Serverless in
 * the Wild" (USENIX ATC 2020): its head is the time without an instance (pre-warm window),
 * its tail ends the time with one (keep-alive window), and a version that has too few or too
 * long idle times is kept for a standard time (there: a forecast of the long ones).
 *
 * What is different: the tail is no fixed percentile. A window ends where one more call served
 * warm would take more idle time of an instance than a start is worth, so a busy version,
 * for which the longest pauses cost next to nothing, is kept through them, and one whose
 * calls are too spread is not kept for the last one in a hundred.
 */
import { countOf } from './histograms.ts';
import { IN_RANGE, lowerEdge, OUT_OF_BOUNDS, upperEdge } from './idle-bins.ts';

/** Milliseconds, from the moment at which an instance has nothing to do. */
export interface Windows {
  /** How long an instance is kept: from now, or from the start ahead of the call. */
  keepMs: number;
  /** End it now, and start another after this time; null: keep this one. */
  prewarmAfterMs: number | null;
}

export interface WindowRules {
  /** For versions whose histogram says nothing. */
  standardMs: number;
  /** Idle time of an instance that one start on the way of a call is worth. */
  worthMs: number;
}

/** One observation may be an accident. */
const FEWEST = 2;
const HEAD = 0.05;
/** More than this part out of bounds: the range does not fit the version. */
const MOST_OUT_OF_BOUNDS = 0.5;
/** A start ahead of a call costs the machine what a start on its way does; it has to save this much memory. */
const SHORTEST_PREWARM_MS = 60_000;
/** Of a start's worth: what the machine pays for one ahead of a call that a kept instance would not have needed. */
const PREWARM_PRICE = 0.03;
/** How much longer than all pauses seen an instance is kept. */
const BEYOND = 4;

export function windowsOf(counts: Uint8Array, { standardMs, worthMs }: WindowRules): Windows {
  const standard: Windows = { keepMs: standardMs, prewarmAfterMs: null };
  const total = countOf(counts);
  const outside = counts[OUT_OF_BOUNDS] ?? 0;
  if (total < FEWEST || outside > total * MOST_OUT_OF_BOUNDS) return standard;
  const headMs = lowerEdge(percentileBin(counts, HEAD));
  const kept = bestEnd(counts, 0, total, worthMs);
  const ahead = bestEnd(counts, headMs, total, worthMs);
  if (headMs >= SHORTEST_PREWARM_MS && ahead.gain - PREWARM_PRICE * total > Math.max(0, kept.gain))
    return { keepMs: ahead.endMs - headMs, prewarmAfterMs: headMs };
  // Too spread to be worth a window.
  if (kept.gain <= 0) return standard;
  // Nothing came later so far: a little more of it costs next to nothing, and the next pause may be the longest.
  return { keepMs: kept.left > 0 ? kept.endMs : Math.max(standardMs, kept.endMs * BEYOND), prewarmAfterMs: null };
}

/** The bin with the observation of this rank among those in range; nearest rank. */
export function percentileBin(counts: Uint8Array, part: number): number {
  const inRange = countOf(counts) - (counts[OUT_OF_BOUNDS] ?? 0);
  const rank = Math.max(1, Math.ceil(part * inRange));
  let seen = 0;
  for (let bin = 0; bin < IN_RANGE; bin++) {
    seen += counts[bin] ?? 0;
    if (seen >= rank) return bin;
  }
  return IN_RANGE - 1;
}

/** Where a window from `from` on is best ended: calls served warm less what the idle time is worth. */
function bestEnd(counts: Uint8Array, from: number, total: number, worthMs: number) {
  let best = { endMs: 0, gain: Number.NEGATIVE_INFINITY, left: total };
  let left = total;
  let hits = 0;
  let idleOfHits = 0;
  for (let bin = 0; bin < IN_RANGE; bin++) {
    const count = counts[bin] ?? 0;
    if (count === 0) continue;
    left -= count;
    if (lowerEdge(bin) < from) continue;
    const endMs = upperEdge(bin);
    hits += count;
    idleOfHits += count * ((lowerEdge(bin) + endMs) / 2 - from);
    const gain = hits - (idleOfHits + left * (endMs - from)) / worthMs;
    if (gain > best.gain) best = { endMs, gain, left };
  }
  return best;
}
