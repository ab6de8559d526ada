/**
 * Turns due times into invocations. Any number of tickers may run.
 *
 * One that is due is claimed for a while, becomes an invocation under a key that names schedule
 * and due time, and then waits for its next due time (`advanceScheduleScript`, once for each
 * due time). Whatever dies in between, the claim ends and another ticker does the same again:
 * the key makes it the same invocation.
 */
import type { Redis } from 'ioredis';
import { coerceError, WaferError } from '../../errors.ts';
import { type DurableCalls, FINAL_STATES } from '../../invocations/durable/types.ts';
import type { Log } from '../../log.ts';
import { startRounds } from '../../rounds.ts';
import { withStore } from '../../store/errors.ts';
import { keysOf } from '../../store/keys.ts';
import { advanceScheduleScript, claimSchedulesScript, postponeScheduleScript } from '../../store/scripts/schedules.ts';
import { runScript } from '../../store/scripts/script.ts';
import { type StartDeps, type Started, startDue } from './start.ts';
import { dueTimes, jitterOf } from './timing.ts';
import type { ScheduleDefinition, ScheduleRun } from './types.ts';

export interface TickerDeps extends StartDeps {
  redis: Redis;
  calls: Pick<DurableCalls, 'accept' | 'get' | 'cancel'>;
  log: Log;
  namespace?: string;
  now?: () => number;
}

export interface Ticker {
  /** All that is due now; the same as the timer does. Rejects when Redis is away. */
  tick(): Promise<void>;
  /** Resolves when what it has claimed is done. */
  close(): Promise<void>;
}

/** Kept of each schedule. */
export const RUNS_KEPT = 50;
/** A due time that is found later than this was missed: nobody was there for it. */
export const LATE_MS = 60_000;
/** Longer than a start takes; whoever comes too late changes nothing. */
export const CLAIM_MS = 15_000;
const BATCH = 100;

const LOOK_MS = 1_000;
const AGAIN_MS = 5_000;

export function startTicker(deps: TickerDeps): Ticker {
  const ticker = createTicker(deps);
  const rounds = startRounds({
    everyMs: LOOK_MS,
    work: () => ticker.tick(),
    onTrouble: (err) => deps.log.warn({ err }, 'schedules could not be looked at'),
  });
  rounds.hurry(0);
  return {
    tick: () => ticker.tick(),
    async close() {
      ticker.close();
      await rounds.close();
    },
  };
}

/** Without a timer. */
export function createTicker(deps: TickerDeps) {
  const { redis, now = Date.now } = deps;
  const { root } = keysOf(deps.namespace);
  let closed = false;
  const tick = async (): Promise<void> => {
    while (!closed) {
      const at = now();
      const args = [root, at, at + CLAIM_MS, BATCH];
      const claimed = (await withStore('look at the schedules', () =>
        runScript(redis, claimSchedulesScript, [], args),
      )) as string[][];
      // One that had missed some is due again at once.
      if (claimed.length === 0) return;
      await Promise.all(claimed.map((one) => handle(deps, toClaimed(one), at)));
    }
  };
  const close = () => {
    closed = true;
  };
  return { tick, close, isClosed: () => closed };
}

interface Claimed extends Started {
  due: number;
  /** Of the due time before. */
  last: string;
}

const toClaimed = ([name = '', id = '', definition = '', due = '', last = '']: string[]): Claimed => ({
  name,
  id,
  definition: JSON.parse(definition) as ScheduleDefinition,
  due: Number(due),
  last,
});

async function handle(deps: TickerDeps, claimed: Claimed, at: number): Promise<void> {
  try {
    await runOrPass(deps, claimed, at);
  } catch (error) {
    if (error instanceof WaferError && error.status === 404) return fail(deps, claimed, at, error.message);
    if (error instanceof WaferError && error.code === 'store_unavailable') throw error;
    if (!(error instanceof WaferError)) deps.log.error({ err: error, schedule: claimed.name }, 'a schedule failed');
    await postpone(deps, claimed, at, coerceError(error));
  }
}

async function runOrPass(deps: TickerDeps, claimed: Claimed, at: number): Promise<void> {
  const { definition, due, last } = claimed;
  const times = dueTimes(definition);
  const kept = firstKept(claimed, at);
  if (kept !== due) return advance(deps, claimed, kept, [{ due, at, kind: 'missed', next: kept }]);
  const next = times.next(due);
  if (definition.overlap !== 'queue' && last !== '' && (await isOpen(deps, last))) {
    if (definition.overlap === 'skip')
      return advance(deps, claimed, next, [{ due, at, kind: 'skipped', because: last }]);
    await deps.calls.cancel(last, `The schedule ${claimed.name} was due again, and replaces it.`);
  }
  const invocation = await startDue(deps, claimed, due);
  await advance(deps, claimed, next, [{ due, at, kind: 'started', invocation }], invocation);
}

/** The due time itself, or the one that the schedule goes on with when this one was missed. */
function firstKept({ id, definition, due }: Claimed, at: number): number | null {
  const times = dueTimes(definition);
  const isMissed = (one: number) => one + jitterOf({ id, jitterMs: definition.jitterMs }, one) < at - LATE_MS;
  if (!isMissed(due)) return due;
  if (definition.missed !== 'skip') {
    return times.latest(due, at, definition.missed === 'last' ? 1 : definition.missedLimit)[0] ?? due;
  }
  let next = times.next(Math.max(due, at - LATE_MS - definition.jitterMs - 1));
  while (next !== null && isMissed(next)) next = times.next(next);
  return next;
}

async function isOpen({ calls }: TickerDeps, invocation: string): Promise<boolean> {
  try {
    return !FINAL_STATES.includes((await calls.get(invocation)).state);
  } catch (error) {
    if (error instanceof WaferError && error.code === 'invocation_not_found') return false;
    throw error;
  }
}

const fail = (deps: TickerDeps, claimed: Claimed, at: number, reason: string) =>
  advance(deps, claimed, dueTimes(claimed.definition).next(claimed.due), [
    { due: claimed.due, at, kind: 'failed', reason },
  ]);

async function advance(
  { redis, namespace }: TickerDeps,
  { name, id, definition, due }: Claimed,
  next: number | null,
  runs: ScheduleRun[],
  last = '',
): Promise<void> {
  const look = next === null ? '' : next + jitterOf({ id, jitterMs: definition.jitterMs }, next);
  const args = [
    keysOf(namespace).root,
    name,
    id,
    due,
    next ?? '',
    look,
    last,
    RUNS_KEPT,
    ...runs.map((run) => JSON.stringify(run)),
  ];
  await withStore('note a run of a schedule', () => runScript(redis, advanceScheduleScript, [], args));
}

async function postpone(
  { redis, namespace }: TickerDeps,
  { name, id, due }: Claimed,
  at: number,
  error: Error,
): Promise<void> {
  const wanted = error instanceof WaferError ? Number(error.details?.['retryAfterMs']) : Number.NaN;
  const look = at + Math.max(Number.isFinite(wanted) ? wanted : AGAIN_MS, 100);
  const args = [keysOf(namespace).root, name, id, due, look, error.message.slice(0, 500)];
  await withStore('put off a schedule', () => runScript(redis, postponeScheduleScript, [], args));
}
