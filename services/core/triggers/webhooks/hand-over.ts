/**
 * Deliveries that are on disk become invocations. Whoever received one hands it over at once; what a crash or a
 * full queue left behind is found in `deliveriesDue`. Any number may do it: number N of a delivery is accepted
 * under one idempotency key, so it is one invocation.
 */
import type { Redis } from 'ioredis';
import { coerceError, WaferError } from '../../errors.ts';
import type { FunctionStore } from '../../functions/types.ts';
import type { Bodies } from '../../invocations/durable/bodies.ts';
import { acceptOptions } from '../../invocations/durable/options.ts';
import type { DurableCalls } from '../../invocations/durable/types.ts';
import type { Log } from '../../log.ts';
import { withStore } from '../../store/errors.ts';
import { keysOf } from '../../store/keys.ts';
import { runScript } from '../../store/scripts/script.ts';
import { handedScript, notHandedScript } from '../../store/scripts/webhooks.ts';
import { toEvent } from './event.ts';
import { nextNumber, toDelivery } from './record.ts';
import type { Delivery } from './types.ts';

export interface HandOverDeps {
  redis: Redis;
  calls: Pick<DurableCalls, 'accept'>;
  functions: Pick<FunctionStore, 'resolve'>;
  bodies: Bodies;
  log: Log;
  namespace?: string;
  now?: () => number;
}

export interface HandOver {
  /** At once when there is room, else by the next round. Never throws. */
  soon(id: string): void;
  /** All that is due now; the same as the timer does. */
  round(): Promise<void>;
  close(): Promise<void>;
}

/** A round leaves a new one alone for so long: whoever received it does it. */
export const HANDED_AT_ONCE_MS = 2_000;
const EVERY_MS = 500;
const AT_ONCE = 32;
const FIRST_RETRY_MS = 1_000;
const MAX_RETRY_MS = 300_000;
/** About a day: nine that double, then one each five minutes. */
const MOST_TRIES = 290;

export function startHandOver(deps: HandOverDeps): HandOver {
  const { redis, log, now = Date.now } = deps;
  const keys = keysOf(deps.namespace);
  const hand = createHand(deps);
  const running = new Map<string, Promise<void>>();
  let closed = false;
  let round: Promise<void> = Promise.resolve();

  const start = (id: string): Promise<void> => {
    const one = hand(id)
      .catch((err: unknown) => log.warn({ err, delivery: id }, 'a delivery could not become an invocation yet'))
      .finally(() => running.delete(id));
    running.set(id, one);
    return one;
  };
  const sweep = async () => {
    for (;;) {
      const ids = await withStore('look for deliveries', () =>
        redis.zrange(keys.deliveriesDue, '-inf', String(now()), 'BYSCORE', 'LIMIT', 0, AT_ONCE),
      );
      await Promise.all(ids.map((id) => running.get(id) ?? start(id)));
      if (ids.length < AT_ONCE || closed) return;
    }
  };
  const next = () => {
    round = round.then(sweep).catch((err: unknown) => log.debug({ err }, 'deliveries could not be looked for'));
    return round;
  };
  const timer = setInterval(next, EVERY_MS).unref();
  return {
    soon(id) {
      if (!closed && running.size < AT_ONCE && !running.has(id)) void start(id);
    },
    round: next,
    async close() {
      closed = true;
      clearInterval(timer);
      await round;
      await Promise.all(running.values());
    },
  };
}

function createHand(deps: HandOverDeps): (id: string) => Promise<void> {
  const { redis, now = Date.now } = deps;
  const keys = keysOf(deps.namespace);
  const accept = createAccept(deps);
  const note = (script: typeof handedScript, id: string, args: (string | number)[]) =>
    withStore('note a delivery', () =>
      runScript(redis, script, [keys.delivery(id), keys.deliveriesDue], [id, ...args]),
    );
  const tryOnce = async (id: string): Promise<boolean> => {
    const hash = await withStore('read a delivery', () => redis.hgetall(keys.delivery(id)));
    const delivery = toDelivery(id, hash);
    if (delivery === undefined || delivery.pending === 0) {
      await withStore('note a delivery', () => redis.zrem(keys.deliveriesDue, id));
      return false;
    }
    const number = nextNumber(hash);
    try {
      const invocation = await accept(delivery, number);
      return (await note(handedScript, id, [number, invocation, now()])) === 1;
    } catch (error) {
      // Without Redis there is nothing to note it in; it stays due.
      if (error instanceof WaferError && error.code === 'store_unavailable') throw error;
      const tries = Number(hash['tries'] ?? 0);
      const wait = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(tries, 20));
      const again = tries < MOST_TRIES && isPassing(error) ? now() + wait : '';
      await note(notHandedScript, id, [coerceError(error).message.slice(0, 1_000), again]);
      if (!(error instanceof WaferError)) throw error;
      return false;
    }
  };
  return async (id) => {
    while (await tryOnce(id));
  };
}

/** A body that is gone from the disk does not come back; a function that was removed may be deployed again. */
const isPassing = (error: unknown) => !(error instanceof WaferError && error.code === 'digest_mismatch');

function createAccept({ calls, functions, bodies }: HandOverDeps) {
  return async (delivery: Delivery, number: number): Promise<string> => {
    const { id, functionName, alias } = delivery;
    const bytes = delivery.body === undefined ? Buffer.alloc(0) : await bodies.get(id, 'body', delivery.body);
    const version = await functions.resolve(functionName, { alias });
    const { id: invocation } = await calls.accept({
      functionName,
      version: version.number,
      trigger: 'webhook',
      origin: id,
      depth: 0,
      body: toEvent(delivery, bytes),
      contentType: 'application/json',
      ...acceptOptions(version),
      // A line feed: no header of a client can have the same key.
      idempotencyKey: `webhook\n${id}\n${number}`,
    });
    return invocation;
  };
}
