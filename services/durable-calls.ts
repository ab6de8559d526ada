/** Puts accepted calls together: the queue, its records, and a consumer that runs them. */
import { hostname } from 'node:os';
import type { Redis } from 'ioredis';
import { type Config, dataPaths } from './core/config.ts';
import { type Again, createAgain } from './core/invocations/durable/again.ts';
import { createAttempts } from './core/invocations/durable/attempts.ts';
import { type Bodies, type LocalBodies, openBodies } from './core/invocations/durable/bodies.ts';
import { createDurableCalls } from './core/invocations/durable/calls.ts';
import { listenForCancellations } from './core/invocations/durable/cancellations.ts';
import { countDurable, type DurableCounts } from './core/invocations/durable/counts.ts';
import { listenForEndings } from './core/invocations/durable/endings.ts';
import { forgetStrays, startSweep } from './core/invocations/durable/sweep.ts';
import type { DurableCalls } from './core/invocations/durable/types.ts';
import type { Log } from './core/log.ts';
import { type CallQueue, consumeCalls, openCallQueue } from './core/queue/index.ts';
import { type Headroom, watchHeadroom } from './core/store/headroom.ts';
import { createTurn, type TurnDeps } from './worker/calls/durable-turn.ts';

export interface DurableDeps extends Pick<TurnDeps, 'dispatcher' | 'functions' | 'hasWritten'> {
  redis: Redis;
  log: Log;
}

export interface OpenedDurableCalls {
  calls: DurableCalls;
  again: Again;
  bodies: LocalBodies;
  /** For whoever else writes down what is to run. */
  headroom: Pick<Headroom, 'assert'>;
  /** Told when an invocation has ended that something follows. Must not throw. */
  onFollowed(told: () => void): void;
  counts(): Promise<DurableCounts>;
  /** From now on this process runs what is accepted, too. */
  consume(): Promise<void>;
  /** Takes no more turns and lets those that run end; before the dispatcher closes. */
  close(): Promise<void>;
}

const PLACE = { name: 'calls' };

/** Accepts, and runs. What crashes leave is looked after here. */
export async function openDurableCalls(config: Config, deps: DurableDeps): Promise<OpenedDurableCalls> {
  const { redis, log } = deps;
  const bodies = openBodies(dataPaths(config.dataDir).bodies);
  const queue = openCallQueue(redis, PLACE);
  const endings = await listenForEndings(redis);
  const headroom = await watchHeadroom(redis);
  const { maxPending: mostPending, idempotencyMs, keepRecordsMs: keepMs, keepRecords: keepPerFunction } = config;
  const sweep = startSweep({ redis, queue, bodies, log, keepMs, keepPerFunction });
  void forgetStrays(redis, bodies).catch((err: unknown) => log.warn({ err }, 'bodies of no invocation stay'));
  const consumers: { close(): Promise<void> }[] = [];
  const calls = createDurableCalls({ redis, queue, bodies, endings, headroom, mostPending, idempotencyMs });
  return {
    calls,
    bodies,
    headroom,
    onFollowed: (told) => endings.onFollowed(told),
    again: createAgain(redis, calls),
    counts: () => countDurable(redis, queue),
    async consume() {
      if (config.asyncConcurrency > 0) consumers.push(await openConsumer(config, { ...deps, queue, bodies }));
    },
    async close() {
      await Promise.all(consumers.map((consumer) => consumer.close()));
      await sweep.close();
      await queue.close();
      endings.close();
      headroom.close();
    },
  };
}

export interface ConsumerDeps extends DurableDeps {
  queue: CallQueue;
  bodies: Bodies;
}

/** Only runs. `close` lets the turns that run end; before the dispatcher closes. */
export async function openConsumer(config: Config, deps: ConsumerDeps): Promise<{ close(): Promise<void> }> {
  const { redis, queue, bodies, hasWritten, log } = deps;
  const cancellations = await listenForCancellations(redis);
  const worker = `${hostname()}/${process.pid}`;
  const attempts = createAttempts({
    redis,
    queue,
    bodies,
    cancellations,
    worker,
    knowsVolumes: hasWritten !== undefined,
  });
  const consumer = consumeCalls(redis, PLACE, {
    concurrency: config.asyncConcurrency,
    turn: createTurn({ attempts, ...deps }),
    onError: (err) => log.warn({ err }, 'the queue of calls'),
  });
  return {
    async close() {
      await consumer.close();
      cancellations.close();
    },
  };
}

export const openQueue = (redis: Redis): CallQueue => openCallQueue(redis, PLACE);
