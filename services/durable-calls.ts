/** Puts accepted calls together for `wafer up`: the queue, its records, and a consumer that runs them. */
import { hostname } from 'node:os';
import type { Redis } from 'ioredis';
import { type Config, dataPaths } from './core/config.ts';
import { type Again, createAgain } from './core/invocations/durable/again.ts';
import { createAttempts } from './core/invocations/durable/attempts.ts';
import { openBodies } from './core/invocations/durable/bodies.ts';
import { createDurableCalls } from './core/invocations/durable/calls.ts';
import { listenForCancellations } from './core/invocations/durable/cancellations.ts';
import { listenForEndings } from './core/invocations/durable/endings.ts';
import { startSweep } from './core/invocations/durable/sweep.ts';
import type { DurableCalls } from './core/invocations/durable/types.ts';
import type { Log } from './core/log.ts';
import { consumeCalls, openCallQueue } from './core/queue/index.ts';
import { createTurn, type TurnDeps } from './worker/durable-turn.ts';

export interface DurableDeps extends Pick<TurnDeps, 'dispatcher' | 'functions'> {
  redis: Redis;
  log: Log;
}

export interface OpenedDurableCalls {
  calls: DurableCalls;
  again: Again;
  /** From now on this process runs what is accepted, too. */
  consume(): void;
  /** Takes no more turns and lets those that run end; before the dispatcher closes. */
  close(): Promise<void>;
}

const PLACE = { name: 'calls' };

export async function openDurableCalls(config: Config, deps: DurableDeps): Promise<OpenedDurableCalls> {
  const { redis, log } = deps;
  const bodies = openBodies(dataPaths(config.dataDir).bodies);
  const queue = openCallQueue(redis, PLACE);
  const endings = await listenForEndings(redis);
  const cancellations = await listenForCancellations(redis);
  const worker = `${hostname()}/${process.pid}`;
  const attempts = createAttempts({ redis, queue, bodies, cancellations, worker });
  const sweep = startSweep({ redis, queue, bodies, log });
  const consumers: { close(): Promise<void> }[] = [];
  const calls = createDurableCalls({ redis, queue, bodies, endings });
  return {
    calls,
    again: createAgain(redis, calls),
    consume() {
      if (config.asyncConcurrency === 0) return;
      const turn = createTurn({ attempts, ...deps });
      const onError = (err: unknown) => log.warn({ err }, 'the queue of calls');
      consumers.push(consumeCalls(redis, PLACE, { concurrency: config.asyncConcurrency, turn, onError }));
    },
    async close() {
      await Promise.all(consumers.map((consumer) => consumer.close()));
      await sweep.close();
      await queue.close();
      endings.close();
      cancellations.close();
    },
  };
}
