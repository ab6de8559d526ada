export interface Summary {
  n: number;
  p50: number;
  p99: number;
  min: number;
}

/** Nearest-rank percentiles; with n below 100, p99 is the largest value. */
export function summarize(samples: readonly number[]): Summary {
  const sorted = [...samples].sort((a, b) => a - b);
  const rank = (p: number) =>
    sorted[Math.min(sorted.length - 1, Math.ceil((p / 100) * sorted.length) - 1)] ?? Number.NaN;
  return { n: sorted.length, p50: rank(50), p99: rank(99), min: sorted[0] ?? Number.NaN };
}

/** A value that was measured once. */
export const single = (value: number): Summary => ({ n: 1, p50: value, p99: value, min: value });

export async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}
