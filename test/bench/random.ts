/** Random numbers that are the same for the same seed. */
export interface Random {
  /** In [0, 1). */
  uniform(): number;
  exponential(mean: number): number;
  /** At least `scale`; the smaller the shape, the heavier the tail. */
  pareto(scale: number, shape: number): number;
  /** Mean 0, deviation 1. */
  normal(): number;
}

/** Mulberry32: 32 bits of state, good enough for traces, never for secrets. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const exponential = (mean: number) => -mean * Math.log(1 - uniform());
  return {
    uniform,
    exponential,
    pareto: (scale, shape) => scale / (1 - uniform()) ** (1 / shape),
    normal: () => Math.sqrt(2 * exponential(1)) * Math.cos(2 * Math.PI * uniform()),
  };
}
