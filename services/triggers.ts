/** Puts together what starts invocations by itself, for `wafer up`: schedules and webhooks. */
import type { Redis } from 'ioredis';
import type { FunctionStore } from './core/functions/types.ts';
import type { Bodies } from './core/invocations/durable/bodies.ts';
import type { DurableCalls } from './core/invocations/durable/types.ts';
import type { Log } from './core/log.ts';
import type { TextBox } from './core/secrets/text-box.ts';
import type { Headroom } from './core/store/headroom.ts';
import { createSchedules, type Schedules, startTicker } from './core/triggers/schedules/index.ts';
import { openWebhooks, type Webhooks } from './core/triggers/webhooks/index.ts';

export interface TriggerDeps {
  redis: Redis;
  calls: DurableCalls;
  bodies: Bodies;
  functions: FunctionStore;
  log: Log;
  headroom: Pick<Headroom, 'assert'>;
  /** Of what a webhook gives a function. */
  maxEventBytes: number;
  /** What secrets of webhooks are sealed with. */
  box: TextBox;
}

export interface Triggers {
  schedules: Schedules;
  /** Deliveries that a crash left behind become invocations from now on. */
  webhooks: Webhooks;
  /** From now on this process looks for what is due, too. */
  start(): void;
  close(): Promise<void>;
}

export function openTriggers(deps: TriggerDeps): Triggers {
  const running: { close(): Promise<void> }[] = [];
  const webhooks = openWebhooks(deps);
  return {
    schedules: createSchedules(deps),
    webhooks,
    start: () => void running.push(startTicker(deps)),
    async close() {
      await Promise.all([webhooks, ...running].map((one) => one.close()));
    },
  };
}
