/** `Schedules` in Redis. */
import type { Redis } from 'ioredis';
import { customAlphabet } from 'nanoid';
import { WaferError } from '../../errors.ts';
import type { FunctionStore } from '../../functions/types.ts';
import type { DurableCalls } from '../../invocations/durable/types.ts';
import { withStore } from '../../store/errors.ts';
import { keysOf } from '../../store/keys.ts';
import {
  noteRunScript,
  pauseScheduleScript,
  putScheduleScript,
  removeScheduleScript,
} from '../../store/scripts/schedules.ts';
import { runScript } from '../../store/scripts/script.ts';
import { checkScheduleName, toBounds, toDefinition, toTiming } from './check.ts';
import { scheduleNotFound } from './problems.ts';
import { startByHand } from './start.ts';
import { RUNS_KEPT } from './ticker.ts';
import { dueTimes, jitterOf } from './timing.ts';
import type {
  Schedule,
  ScheduleDefinition,
  ScheduleRequest,
  ScheduleRun,
  ScheduleRunView,
  Schedules,
} from './types.ts';

export { createTicker, startTicker, type Ticker } from './ticker.ts';
export type * from './types.ts';

export interface SchedulesDeps {
  redis: Redis;
  calls: Pick<DurableCalls, 'accept' | 'get'>;
  functions: Pick<FunctionStore, 'resolve'>;
  namespace?: string;
  now?: () => number;
}

const MOST_SCHEDULES = 100_000;

const RUNS_SHOWN = 20;
const NEXT_SHOWN = 5;
const newScheduleId = customAlphabet('0123456789abcdefghjkmnpqrstvwxyz', 16);

export function createSchedules(deps: SchedulesDeps): Schedules {
  const { redis, now = Date.now } = deps;
  const keys = keysOf(deps.namespace);
  const { root } = keys;

  const read = async (name: string): Promise<Schedule> => {
    const hash = await withStore('read a schedule', () => redis.hgetall(keys.schedule(name)));
    const schedule = toSchedule(name, hash);
    if (schedule === undefined) throw scheduleNotFound(name);
    return schedule;
  };
  const setPaused = async (name: string, paused: boolean): Promise<Schedule> => {
    const schedule = await read(name);
    const at = now();
    const waits = paused ? ['', ''] : waitsFor(schedule, schedule.id, at);
    await withStore('pause a schedule', () =>
      runScript(redis, pauseScheduleScript, [], [root, name, at, paused ? '1' : '', ...waits]),
    );
    return read(name);
  };

  return {
    put: (name, request) => putSchedule(deps, read, name, request),
    async list() {
      const names = await withStore('list schedules', () => redis.zrange(keys.schedules, '0', '-1'));
      const found = await Promise.all(names.map((name) => redis.hgetall(keys.schedule(name))));
      return found.flatMap((hash, index) => toSchedule(names[index] ?? '', hash) ?? []);
    },
    async get(name) {
      const schedule = await read(name);
      const lines = await withStore('read a schedule', () => redis.lrange(keys.scheduleRuns(name), 0, RUNS_SHOWN - 1));
      const runs = await Promise.all(lines.map((line) => viewRun(deps.calls, JSON.parse(line) as ScheduleRun)));
      return {
        ...schedule,
        runs,
        next: schedule.state === 'active' ? firstDue(schedule, schedule.due, NEXT_SHOWN) : [],
      };
    },
    async remove(name) {
      const removed = await withStore('remove a schedule', () =>
        runScript(redis, removeScheduleScript, [], [root, name]),
      );
      if (removed === 0) throw scheduleNotFound(name);
    },
    pause: (name) => setPaused(name, true),
    resume: (name) => setPaused(name, false),
    run: async (name, options) => runByHand(deps, await read(name), options),
    preview(request, count) {
      const at = now();
      return firstDue({ timing: toTiming(request, at), ...toBounds(request) }, undefined, count, at);
    },
  };
}

async function putSchedule(
  { redis, functions, namespace, now = Date.now }: SchedulesDeps,
  read: (name: string) => Promise<Schedule>,
  name: string,
  request: ScheduleRequest,
): Promise<{ schedule: Schedule; created: boolean }> {
  checkScheduleName(name);
  const keys = keysOf(namespace);
  const at = now();
  const definition = toDefinition(request, at);
  const { functionName, alias, version } = definition;
  await functions.resolve(functionName, version === undefined ? (alias === undefined ? {} : { alias }) : { version });
  const known = await withStore('read a schedule', () => redis.hget(keys.schedule(name), 'id'));
  const id = known ?? newScheduleId();
  const waits = request.paused === true ? ['', ''] : waitsFor(definition, id, at);
  const paused = request.paused === true ? '1' : '';
  const args = [keys.root, name, id, JSON.stringify(definition), at, paused, ...waits, MOST_SCHEDULES];
  const [answer, detail] = (await withStore('keep a schedule', () =>
    runScript(redis, putScheduleScript, [], args),
  )) as string[];
  if (answer === 'full') throw new WaferError('conflict', `There are ${detail} schedules; no more are kept.`);
  return { schedule: await read(name), created: answer === 'created' };
}

async function runByHand(
  deps: SchedulesDeps,
  schedule: Schedule,
  { idempotencyKey }: { idempotencyKey?: string } = {},
) {
  const { redis, namespace, now = Date.now } = deps;
  const { name, id } = schedule;
  const at = now();
  const accepted = await startByHand(deps, { name, id, definition: schedule }, { now: at, idempotencyKey });
  if (accepted.kind === 'accepted') {
    const run: ScheduleRun = { due: at, at, kind: 'started', invocation: accepted.id, manual: true };
    const args = [keysOf(namespace).root, name, RUNS_KEPT, JSON.stringify(run)];
    await withStore('note a run of a schedule', () => runScript(redis, noteRunScript, [], args));
  }
  return accepted;
}

/** `due`, when to look. Of one that is over both are empty. */
function waitsFor(definition: ScheduleDefinition, id: string, at: number): (string | number)[] {
  const due = dueTimes(definition).next(at);
  return due === null ? ['', ''] : [due, due + jitterOf({ id, jitterMs: definition.jitterMs }, due)];
}

function firstDue(
  definition: Pick<ScheduleDefinition, 'timing' | 'start' | 'end'>,
  first: number | undefined,
  count: number,
  after = 0,
): number[] {
  const times = dueTimes(definition);
  const found: number[] = [];
  let due = first ?? times.next(after);
  while (due !== null && found.length < count) {
    found.push(due);
    due = times.next(due);
  }
  return found;
}

function toSchedule(name: string, hash: Record<string, string>): Schedule | undefined {
  const { id, definition, paused, due, problem } = hash;
  if (id === undefined || definition === undefined) return undefined;
  return {
    name,
    id,
    ...(JSON.parse(definition) as ScheduleDefinition),
    createdAt: Number(hash['createdAt']),
    updatedAt: Number(hash['updatedAt']),
    state: paused === '1' ? 'paused' : due === undefined ? 'ended' : 'active',
    ...(due !== undefined && { due: Number(due) }),
    ...(problem !== undefined && { problem }),
  };
}

async function viewRun(calls: SchedulesDeps['calls'], run: ScheduleRun): Promise<ScheduleRunView> {
  if (run.kind !== 'started') return run;
  try {
    const { state, outcome } = await calls.get(run.invocation);
    return { ...run, invocationState: state, ...(outcome !== undefined && { outcome: outcome.kind }) };
  } catch (error) {
    if (error instanceof WaferError && error.code === 'invocation_not_found') return { ...run, invocationState: null };
    throw error;
  }
}
