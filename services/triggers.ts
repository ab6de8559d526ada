/** Puts together what starts invocations by itself, for `wafer up`: schedules. */
import type { Redis } from 'ioredis';
import type { FunctionStore } from './core/functions/types.ts';
import type { DurableCalls } from './core/invocations/durable/types.ts';
import type { Log } from './core/log.ts';
import { createSchedules, type Schedules, startTicker } from './core/triggers/schedules/index.ts';

export interface TriggerDeps {
  redis: Redis;
  calls: DurableCalls;
  functions: FunctionStore;
  log: Log;
}

export interface Triggers {
  schedules: Schedules;
  /** From now on this process looks for what is due, too. */
  start(): void;
  close(): Promise<void>;
}

export function openTriggers(deps: TriggerDeps): Triggers {
  const running: { close(): Promise<void> }[] = [];
  return {
    schedules: createSchedules(deps),
    start: () => void running.push(startTicker(deps)),
    async close() {
      await Promise.all(running.map((one) => one.close()));
    },
  };
}
