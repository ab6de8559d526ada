/** Puts together what follows invocations that end, for `wafer up`: callbacks and chains. Workers that join only run. */
import type { Redis } from 'ioredis';
import type { Config } from './core/config.ts';
import type { FunctionStore } from './core/functions/types.ts';
import type { Log } from './core/log.ts';
import type { TextBox } from './core/secrets/text-box.ts';
import {
  type AddressGuard,
  type Callbacks,
  createCallbacks,
  createPoster,
  type Sender,
  startSender,
} from './core/triggers/callbacks/index.ts';
import type { OpenedDurableCalls } from './durable-calls.ts';

export interface CallbackDeps {
  redis: Redis;
  durable: Pick<OpenedDurableCalls, 'calls' | 'onFollowed'>;
  functions: FunctionStore;
  guard: AddressGuard;
  /** What signing secrets are sealed with. */
  box: TextBox;
  log: Log;
}

export interface OpenedCallbacks {
  callbacks: Callbacks;
  /** From now on this process sends what is due. */
  start(): void;
  /** Breaks off what is being sent: the next start sends it again. */
  close(): Promise<void>;
}

export function openCallbacks(
  { maxChain, maxEventKb }: Config,
  { redis, durable, functions, guard, box, log }: CallbackDeps,
): OpenedCallbacks {
  const { calls } = durable;
  const poster = createPoster({ guard });
  let sender: Sender | undefined;
  return {
    callbacks: createCallbacks({ redis, calls, guard, box, onDue: () => sender?.hurry() }),
    start() {
      sender = startSender({
        redis,
        box,
        calls,
        functions,
        poster,
        log,
        mostDepth: maxChain,
        mostBytes: maxEventKb * 1024,
      });
      durable.onFollowed(() => sender?.hurry());
    },
    async close() {
      await poster.close();
      await sender?.close();
    },
  };
}
