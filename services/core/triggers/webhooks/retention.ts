/** Deliveries go when they are old; `receiveScript` sees to those that are too many. */
import type { Redis } from 'ioredis';
import { deliveryIdPrefix } from '../../ids.ts';
import type { Bodies } from '../../invocations/durable/bodies.ts';
import type { Log } from '../../log.ts';
import { startRounds } from '../../rounds.ts';
import { withStore } from '../../store/errors.ts';
import { keysOf } from '../../store/keys.ts';
import { runScript } from '../../store/scripts/script.ts';
import { forgetDeliveriesScript } from '../../store/scripts/webhooks.ts';
import type { Webhook } from './types.ts';

export interface RetentionDeps {
  redis: Redis;
  bodies: Pick<Bodies, 'forget'>;
  log: Log;
  list: () => Promise<Webhook[]>;
  namespace?: string;
  keepMs?: number;
  now?: () => number;
}

const EVERY_MS = 60_000;
const AT_ONCE = 500;

export function startRetention(deps: RetentionDeps) {
  const { redis, bodies, log, list, namespace, keepMs = 7 * 86_400_000, now = Date.now } = deps;
  const keys = keysOf(namespace);
  const forget = async () => {
    const below = deliveryIdPrefix(now() - keepMs);
    for (const { id } of await list()) {
      for (const kind of ['taken', 'other'] as const) {
        const touched = [keys.deliveriesOf(id, kind), keys.deliveriesDue];
        const run = () => runScript(redis, forgetDeliveriesScript, touched, [keys.deliveryPrefix, below, AT_ONCE]);
        await bodies.forget((await withStore('forget deliveries', run)) as string[]);
      }
    }
  };
  return startRounds({
    everyMs: EVERY_MS,
    work: forget,
    onTrouble: (err) => log.warn({ err }, 'old deliveries could not be forgotten'),
  });
}
