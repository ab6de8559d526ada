/**
 * Idle times in bins whose width grows with them: eight to each doubling, so a window
 * that is read from them is at most 9 % off, for a pause of seconds as for one of hours.
 * (Minutes, as in the paper, are coarse for instances that start in milliseconds: most of
 * what a busy function needs to be kept is below one.)
 */

const PER_DOUBLING = 8;
const DOUBLINGS = 14;

/** All below this is one bin: no instance is ended and started for a pause of less. */
export const SHORTEST_MS = 1_000;
/** Four and a half hours; what is longer counts as out of bounds. */
export const RANGE_MS = SHORTEST_MS * 2 ** DOUBLINGS;
export const IN_RANGE = 1 + PER_DOUBLING * DOUBLINGS;
/** The last bin: out of bounds. */
export const OUT_OF_BOUNDS = IN_RANGE;
export const BINS = IN_RANGE + 1;

/** Milliseconds; bin `n` has what is in `[EDGES[n], EDGES[n + 1])`. */
const EDGES = Float64Array.from({ length: IN_RANGE + 1 }, (_, bin) =>
  bin === 0 ? 0 : SHORTEST_MS * 2 ** ((bin - 1) / PER_DOUBLING),
);

export const lowerEdge = (bin: number): number => EDGES[Math.min(bin, IN_RANGE)] ?? RANGE_MS;
export const upperEdge = (bin: number): number => lowerEdge(bin + 1);

export function binOf(idleMs: number): number {
  if (!(idleMs >= SHORTEST_MS)) return 0;
  const bin = Math.min(OUT_OF_BOUNDS, 1 + Math.floor(Math.log2(idleMs / SHORTEST_MS) * PER_DOUBLING));
  // The logarithm may round an edge down into the bin below.
  return bin < OUT_OF_BOUNDS && idleMs >= upperEdge(bin) ? bin + 1 : bin;
}
