/** `npx tsx test/bench/keep-alive.ts [seeds] [functions] [hours]`: the worker's keep-alive policy beside ten minutes for all. */
import { pathToFileURL } from 'node:url';
import {
  createFixedPolicy,
  createLearnedPolicy,
  type KeepAlivePolicy,
} from '../../services/worker/keep-alive/policy.ts';
import { type Simulated, simulate } from './simulate.ts';
import { makeTrace, type TraceOptions } from './trace.ts';

const MINUTE_MS = 60_000;
const STANDARD_MS = MINUTE_MS; // WAFER_IDLE_MS
const TEN_MINUTES_MS = 10 * MINUTE_MS;

export interface Comparison {
  seed: number;
  fixed: Simulated;
  learned: Simulated;
  /** Memory for half of what ten minutes of keep-alive takes: who goes first by worth, and by last use. */
  shortByWorth: Simulated;
  shortByUse: Simulated;
}

export function compare(options: TraceOptions): Comparison {
  const trace = makeTrace(options);
  const learned = () => createLearnedPolicy({ standardMs: STANDARD_MS });
  const byUse = (): KeepAlivePolicy => ({ ...learned(), value: (_version, idleSince) => idleSince });
  const fixed = simulate(trace, createFixedPolicy(TEN_MINUTES_MS));
  const budget = { budgetMb: fixed.idleMbP50 / 2 };
  return {
    seed: options.seed,
    fixed,
    learned: simulate(trace, learned()),
    shortByWorth: simulate(trace, learned(), budget),
    shortByUse: simulate(trace, byUse(), budget),
  };
}

export function toTable({ seed, fixed, learned, shortByWorth, shortByUse }: Comparison): string {
  const rows: [string, Simulated][] = [
    ['fixed, 10 min', fixed],
    ['learned', learned],
    ['learned, half the memory', shortByWorth],
    ['same, least recently used goes', shortByUse],
  ];
  const line = (cells: string[]) => cells.map((cell, at) => (at === 0 ? cell.padEnd(32) : cell.padStart(12))).join('');
  const ratio = (value: number, of: number) => (value / of).toFixed(2);
  const head = [
    `seed ${seed}: ${fixed.calls} calls`,
    'cold starts',
    'x fixed',
    'GB hours',
    'x fixed',
    'GB p50',
    'GB p99',
  ];
  const body = rows.map(([name, one]) => [
    name,
    String(one.cold),
    ratio(one.cold, fixed.cold),
    (one.idleMbSeconds / 1024 / 3600).toFixed(1),
    ratio(one.idleMbSeconds, fixed.idleMbSeconds),
    (one.idleMbP50 / 1024).toFixed(1),
    (one.idleMbP99 / 1024).toFixed(1),
  ]);
  return [head, ...body].map(line).join('\n');
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [seeds = '1,2,3', functions = '2000', hours = '12'] = process.argv.slice(2);
  for (const seed of seeds.split(',').map(Number))
    process.stdout.write(`${toTable(compare({ seed, functions: Number(functions), hours: Number(hours) }))}\n\n`);
}
