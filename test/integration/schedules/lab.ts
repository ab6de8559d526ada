/** Schedules over a real Redis and real durable calls; the clock is the test's. */

import { WaferError } from '../../../services/core/errors.ts';
import type { FunctionVersion } from '../../../services/core/functions/types.ts';
import type { DurableRecord } from '../../../services/core/invocations/durable/types.ts';
import {
  createSchedules,
  createTicker,
  type ScheduleRequest,
  type Schedules,
} from '../../../services/core/triggers/schedules/index.ts';
import type { TickerDeps } from '../../../services/core/triggers/schedules/ticker.ts';
import { silentLog } from '../../helpers/redis.ts';
import { type DurableLab, openDurableLab } from '../durable/lab.ts';

/** A Tuesday. */
export const NOON = Date.parse('2026-06-02T12:00:00Z');
export const MINUTE = 60_000;

export interface ScheduleLab {
  durable: DurableLab;
  schedules: Schedules;
  clock: { now: number };
  /** Functions that are there. */
  functions: Set<string>;
  config: { config: Partial<FunctionVersion['config']> };
  ticker(more?: Partial<TickerDeps>): ReturnType<typeof createTicker>;
  put(name: string, request?: Partial<ScheduleRequest>): ReturnType<Schedules['put']>;
  /** Every invocation that was ever accepted, by time. */
  invocations(): Promise<DurableRecord[]>;
  /** `NAME@TIME` of each. */
  origins(): Promise<string[]>;
  close(): Promise<void>;
}

export async function openScheduleLab(): Promise<ScheduleLab> {
  const durable = await openDurableLab();
  const clock = { now: NOON };
  const functions = new Set(['f']);
  const settings = { config: {} as Partial<FunctionVersion['config']> };
  const resolve = async (functionName: string) => {
    if (!functions.has(functionName)) throw new WaferError('function_not_found', `There is no ${functionName}.`);
    return { functionName, number: 1, config: settings.config } as FunctionVersion;
  };
  const { redis } = durable.redis.connection;
  const deps = { redis, calls: durable.calls, functions: { resolve }, now: () => clock.now };
  const schedules = createSchedules(deps);
  const invocations = async () => {
    const ids = await redis.zrange('wafer:{default}:calls', '0', '-1');
    return Promise.all(ids.map((id) => durable.calls.get(id)));
  };
  return {
    durable,
    schedules,
    clock,
    functions,
    config: settings,
    ticker: (more = {}) => createTicker({ ...deps, log: silentLog, ...more }),
    put: (name, request = {}) =>
      schedules.put(name, {
        functionName: 'f',
        ...(request.everyMs || request.at ? {} : { cron: '* * * * *' }),
        ...request,
      }),
    invocations,
    origins: async () =>
      (await invocations())
        .map(({ origin = '' }) =>
          origin.replace(/@(\d+)$/, (_, due) => `@${new Date(Number(due)).toISOString().slice(11, 19)}`),
        )
        .sort(),
    close: () => durable.close(),
  };
}
