/** What a platform says of itself: the readings of its metrics, and whether it is ready. */
import type { FunctionStore } from './core/functions/types.ts';
import type { Readings } from './core/readings/types.ts';
import type { RedisConnection } from './core/store/connect.ts';
import type { Telemetry } from './core/telemetry.ts';
import type { Worker } from './worker/index.ts';

/** From now on `/metrics` has it. */
export function observe(
  telemetry: Telemetry,
  worker: Worker,
  functions: FunctionStore,
  later: { counts: NonNullable<Readings['durable']> },
): void {
  telemetry.observe({
    instances() {
      const states = { starting: 0, idle: 0, busy: 0, ending: 0 };
      for (const instance of worker.pool.instances()) states[instance.state]++;
      return states;
    },
    blanks() {
      const sum = { ready: 0, booting: 0 };
      for (const { ready, booting } of worker.dispatcher.blanks()) {
        sum.ready += ready;
        sum.booting += booting;
      }
      return sum;
    },
    queued: () => worker.pool.waiting(),
    store: () => worker.images.usage(),
    functions: async () => (await functions.list()).length,
    engine: () => worker.engineStats(),
    ...worker.totals,
    durable: later.counts,
  });
}

const READY_MS = 2_000;

export async function readiness(connection: RedisConnection, worker: Worker) {
  const late = () => new Promise<false>((resolve) => setTimeout(() => resolve(false), READY_MS).unref());
  const answers = (asked: Promise<unknown>) =>
    Promise.race([
      asked.then(
        () => true,
        () => false,
      ),
      late(),
    ]);
  const [redis, engine] = await Promise.all([
    answers(connection.redis.ping()),
    Promise.race([worker.healthy(), late()]),
  ]);
  const checks = [
    { name: 'redis', ok: redis, ...(redis ? {} : { message: `Redis at ${connection.where} does not answer.` }) },
    {
      name: 'engine',
      ok: engine,
      ...(engine
        ? { message: `limits ${worker.engine().limits}` }
        : { message: 'The sandbox engine does not answer.' }),
    },
  ];
  return { ok: redis && engine, checks };
}
