/**
 * Puts together what runs later, for `wafer up`: calls that are accepted first, what starts invocations by itself, and
 * what follows their ends.
 */

import { openCallbacks } from './callbacks.ts';
import type { Closer } from './closer.ts';
import type { Config } from './core/config.ts';
import type { FunctionStore } from './core/functions/types.ts';
import type { Log } from './core/log.ts';
import type { TextBox } from './core/secrets/text-box.ts';
import type { RedisConnection } from './core/store/connect.ts';
import type { AddressGuard } from './core/triggers/callbacks/index.ts';
import { type DurableDeps, openDurableCalls } from './durable-calls.ts';
import { openTriggers } from './triggers.ts';

interface LaterDeps {
  redis: RedisConnection['redis'];
  worker: Pick<DurableDeps, 'dispatcher' | 'functions' | 'hasWritten'>;
  functions: FunctionStore;
  guard: AddressGuard;
  box: TextBox;
  log: Log;
}

export async function openLater(config: Config, deps: LaterDeps, closer: Closer) {
  const { redis, worker, functions, guard, box, log } = deps;
  const { dispatcher, hasWritten } = worker;
  const ran = { dispatcher, functions: worker.functions, hasWritten };
  const durable = closer.keep(await openDurableCalls(config, { redis, ...ran, log }));
  const { calls, bodies, headroom, again } = durable;
  const maxEventBytes = config.maxEventKb * 1024;
  const triggers = closer.keep(openTriggers({ redis, functions, log, calls, bodies, headroom, box, maxEventBytes }));
  const callbacks = closer.keep(openCallbacks(config, { redis, durable, functions, guard, box, log }));
  return {
    /** What the API serves of it. */
    served: {
      durable: calls,
      again,
      bodies,
      schedules: triggers.schedules,
      webhooks: triggers.webhooks,
      callbacks: callbacks.callbacks,
    },
    counts: () => durable.counts(),
    /** From now on this process runs what is accepted, looks for what is due, and sends what follows. */
    async start(): Promise<void> {
      await durable.consume();
      triggers.start();
      callbacks.start();
    },
  };
}
