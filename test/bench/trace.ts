/**
 * A seeded trace of invocations with the published shape of a serverless platform (Shahrad et
 * al., ATC 2020, section 3): rates over eight orders of magnitude, 45 % of the functions at
 * most once an hour and 81 % at most once a minute; timers, sessions of calls with long
 * pauses, calls that come at random, and some that come once. What kind a function of a given
 * rate is, is an assumption, and said here: the data set itself is not in the repository.
 */
import { createRandom, type Random } from './random.ts';

export type Kind = 'periodic' | 'bursty' | 'random' | 'once';

export interface TracedFunction {
  name: string;
  kind: Kind;
  /** Calls a second over the whole trace, as drawn. */
  rate: number;
  memoryMb: number;
}

export interface Trace {
  functions: TracedFunction[];
  /** In order of time: milliseconds, the function's index, and how long the call takes. */
  times: Float64Array;
  callees: Uint32Array;
  durations: Float32Array;
  hours: number;
}

export interface TraceOptions {
  seed: number;
  functions: number;
  hours: number;
}

/** Part of the functions at or below each rate; log-linear between. */
const RATES: readonly [part: number, perSecond: number][] = [
  [0, 3e-8],
  [0.05, 1 / (7 * 86_400)],
  [0.2, 1 / 86_400],
  [0.45, 1 / 3_600],
  [0.81, 1 / 60],
  [0.97, 0.3],
  [1, 3],
];
/** Seconds. */
const PERIODS = [60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400];
const MEMORY = [64, 128, 128, 256, 256, 512];

export function makeTrace({ seed, functions: count, hours }: TraceOptions): Trace {
  const random = createRandom(seed);
  const functions = Array.from({ length: count }, (_, index) => makeFunction(index, random));
  const calls: [time: number, callee: number, duration: number][] = [];
  functions.forEach((one, callee) => {
    const typicalMs = 40 * Math.exp(random.normal() * 1.5);
    for (const time of callTimes(one, hours * 3_600, random))
      calls.push([time * 1_000, callee, Math.min(60_000, typicalMs * Math.exp(random.normal() * 0.4))]);
  });
  calls.sort((a, b) => a[0] - b[0]);
  return {
    functions,
    times: Float64Array.from(calls, ([time]) => time),
    callees: Uint32Array.from(calls, ([, callee]) => callee),
    durations: Float32Array.from(calls, ([, , duration]) => duration),
    hours,
  };
}

function makeFunction(index: number, random: Random): TracedFunction {
  const rate = quantile(random.uniform());
  const dice = random.uniform();
  const kind: Kind = dice < 0.05 ? 'once' : dice < 0.35 ? 'periodic' : dice < 0.7 ? 'bursty' : 'random';
  return { name: `f${index}`, kind, rate, memoryMb: MEMORY[Math.floor(random.uniform() * MEMORY.length)] ?? 128 };
}

function quantile(part: number): number {
  const at = Math.max(
    1,
    RATES.findIndex(([upTo]) => part <= upTo),
  );
  const [fromPart, from] = RATES[at - 1] ?? [0, 1];
  const [toPart, to] = RATES[at] ?? [1, 1];
  return from * (to / from) ** ((part - fromPart) / (toPart - fromPart));
}

/** Seconds, ascending. */
function callTimes(one: TracedFunction, seconds: number, random: Random): number[] {
  if (one.kind === 'once') return [random.uniform() * seconds];
  if (one.kind === 'periodic') return periodic(one.rate, seconds, random);
  return one.kind === 'bursty' ? sessions(one.rate, seconds, random) : poisson(one.rate, seconds, random);
}

/** A timer of the period that fits the rate: exact to a second or two, and now and then late. */
function periodic(rate: number, seconds: number, random: Random): number[] {
  const period = PERIODS.reduce((best, next) =>
    Math.abs(Math.log(next * rate)) < Math.abs(Math.log(best * rate)) ? next : best,
  );
  const times: number[] = [];
  for (let due = random.uniform() * period; due < seconds; due += period) {
    const late = random.uniform() < 0.02 ? random.exponential(period / 4) : random.exponential(1);
    times.push(due + late);
  }
  return times.sort((a, b) => a - b);
}

/** Bursts of calls a few seconds apart; the pauses between them are heavy-tailed. */
function sessions(rate: number, seconds: number, random: Random): number[] {
  const callsPerBurst = 2 + random.exponential(10);
  const pause = callsPerBurst / rate;
  const gap = Math.min(0.5 * Math.exp(random.normal() * 1.5), pause / callsPerBurst / 2);
  const times: number[] = [];
  // Pareto with shape 1.5: its mean is three times its scale.
  for (let at = random.uniform() * pause; at < seconds; at += random.pareto(pause / 3, 1.5)) {
    const calls = Math.max(1, Math.round(random.exponential(callsPerBurst)));
    for (let call = 0; call < calls && at < seconds; call++, at += random.exponential(gap)) times.push(at);
  }
  return times;
}

function poisson(rate: number, seconds: number, random: Random): number[] {
  const times: number[] = [];
  for (let at = random.exponential(1 / rate); at < seconds; at += random.exponential(1 / rate)) times.push(at);
  return times;
}
