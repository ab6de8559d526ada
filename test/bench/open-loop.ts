/** Calls that arrive by the clock, not when the last one was answered; and the highest rate that is still served in time. */
import { type Summary, summarize } from './stats.ts';

export interface RateTried {
  rate: number;
  passed: boolean;
  sent: number;
  failed: number;
  /** From the moment that a call was due, however late it was sent. */
  latency: Summary;
  kinds: Record<string, number>;
}

interface OpenLoop {
  rate: number;
  seconds: number;
  /** Tells its kind. @throws when it fails */
  call: (number: number) => Promise<string>;
}

export async function runOpenLoop({ rate, seconds, call }: OpenLoop): Promise<Omit<RateTried, 'passed'>> {
  const total = Math.max(1, Math.round(rate * seconds));
  const latencies: number[] = [];
  const kinds: Record<string, number> = {};
  const running: Promise<void>[] = [];
  let failed = 0;
  const began = performance.now();
  const one = async (number: number, due: number) => {
    try {
      const kind = await call(number);
      kinds[kind] = (kinds[kind] ?? 0) + 1;
    } catch {
      failed++;
    }
    latencies.push(performance.now() - due);
  };
  for (let number = 0; number < total; number++) {
    const due = began + (number * 1000) / rate;
    const wait = due - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    running.push(one(number, due));
  }
  await Promise.all(running);
  return { rate, sent: total, failed, latency: summarize(latencies), kinds };
}

interface Search extends Omit<OpenLoop, 'rate'> {
  lowest: number;
  highest: number;
  steps: number;
  maxP99Ms: number;
  /** Before each rate. */
  between: () => Promise<void>;
}

/** Halves the range between what was served in time and what was not. All that was tried, in order. */
export async function findRate({ lowest, highest, steps, maxP99Ms, between, ...loop }: Search): Promise<RateTried[]> {
  const tried: RateTried[] = [];
  let low = lowest;
  let high = highest;
  for (let step = 0; step < steps; step++) {
    const rate = (low + high) / 2;
    await between();
    const result = await runOpenLoop({ ...loop, rate });
    const passed = result.failed === 0 && result.latency.p99 <= maxP99Ms;
    tried.push({ ...result, passed });
    if (passed) low = rate;
    else high = rate;
  }
  return tried;
}
