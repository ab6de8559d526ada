/** Where the time of a version's calls goes, from what its records say; advice.ts says what would help. */
import type { FunctionVersion } from '../functions/types.ts';
import { type Advice, adviseOn } from './advice.ts';
import type { NoBlank, Phase, Receipt, StartCause, StartFacts, StartKind } from './types.ts';
import { NO_BLANK, PHASES, START_CAUSES, START_KINDS, wallOf } from './types.ts';
import type { Invocation } from './view.ts';

/** Milliseconds, nearest rank. */
export interface Times {
  p50: number;
  p99: number;
}

/** The calls of one kind of start. */
export interface KindTimes {
  calls: number;
  /** From the request to the answer. */
  wall: Times;
  phases: Record<Phase, Times>;
}

export interface Explanation {
  functionName: string;
  version: number;
  runtime: FunctionVersion['config']['runtime'];
  base: string;
  /** Kinds without a call are left out. */
  kinds: Partial<Record<StartKind, KindTimes>>;
  /** Starts by what they were due to, and cold ones by why no blank was there; those without one are left out. */
  causes: Partial<Record<StartCause, number>>;
  noBlank: Partial<Record<NoBlank, number>>;
  facts: StartFacts;
  advice: Advice[];
}

/** Of an accepted invocation, its last attempt. */
export type SeenCall = Pick<Invocation, 'id' | 'version' | 'outcome' | 'receipt'>;

export interface Seen {
  version: FunctionVersion;
  /** Calls that waited for a start, and the newest of all calls; may be of other versions, and one in both. */
  starts: readonly SeenCall[];
  newest: readonly SeenCall[];
  facts: StartFacts;
}

export function explain({ version, starts, newest, facts }: Seen): Explanation {
  const receipts = receiptsOf(version, [...starts, ...newest]);
  const waited = receipts.filter(({ start }) => start !== 'warm');
  const times = START_KINDS.map((kind) => [kind, timesOf(receipts.filter(({ start }) => start === kind))] as const);
  const found = {
    functionName: version.functionName,
    version: version.number,
    runtime: version.config.runtime,
    base: version.base,
    kinds: Object.fromEntries(times.filter(([, of]) => of.calls > 0)) as Explanation['kinds'],
    causes: countBy(START_CAUSES, waited, ({ cause }) => cause),
    noBlank: countBy(NO_BLANK, waited, ({ noBlank }) => noBlank),
    facts,
  };
  return { ...found, advice: adviseOn({ ...found, version, all: timesOf(waited) }) };
}

/** What a call that was given up, or never could begin, took is no time of the function. */
const NOT_COUNTED: readonly string[] = ['cancelled', 'function_init_failed', 'handler_not_found'];

function receiptsOf({ number }: FunctionVersion, calls: readonly SeenCall[]): Receipt[] {
  const once = new Map(calls.map((call) => [call.id, call]));
  return [...once.values()].flatMap(({ version, outcome, receipt }) =>
    version === number && receipt !== null && !NOT_COUNTED.includes(outcome?.kind ?? '') ? [receipt] : [],
  );
}

function timesOf(receipts: readonly Receipt[]): KindTimes {
  const of = (read: (receipt: Receipt) => number) => percentiles(receipts.map(read));
  const phases = PHASES.map((phase) => [phase, of((receipt) => receipt.phases[phase])] as const);
  return {
    calls: receipts.length,
    wall: of(({ phases }) => wallOf(phases)),
    phases: Object.fromEntries(phases) as KindTimes['phases'],
  };
}

function percentiles(values: number[]): Times {
  const sorted = values.sort((a, b) => a - b);
  const at = (part: number) => round(sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] ?? 0);
  return { p50: at(0.5), p99: at(0.99) };
}

const round = (ms: number) => Math.round(ms * 1000) / 1000;

function countBy<Key extends string>(
  keys: readonly Key[],
  receipts: readonly Receipt[],
  read: (receipt: Receipt) => Key | undefined,
): Partial<Record<Key, number>> {
  const counts = keys.map((key) => [key, receipts.filter((receipt) => read(receipt) === key).length] as const);
  return Object.fromEntries(counts.filter(([, count]) => count > 0)) as Partial<Record<Key, number>>;
}
