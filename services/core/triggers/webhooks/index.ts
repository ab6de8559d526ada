/** Webhooks of one namespace: their definitions, their inbox, and what makes invocations of deliveries. */
import { WaferError } from '../../errors.ts';
import { deliveryIdPrefix } from '../../ids.ts';
import type { TextBox } from '../../secrets/text-box.ts';
import { withStore } from '../../store/errors.ts';
import type { Headroom } from '../../store/headroom.ts';
import { keysOf } from '../../store/keys.ts';
import { runScript } from '../../store/scripts/script.ts';
import { redeliverScript } from '../../store/scripts/webhooks.ts';
import { createDefinitionStore } from './definition-store.ts';
import { createDefinitions, toView } from './definitions.ts';
import { createDeliveries } from './deliveries.ts';
import { type HandOverDeps, startHandOver } from './hand-over.ts';
import { createInbox } from './inbox.ts';
import { startRetention } from './retention.ts';
import { makeSample } from './samples.ts';
import type { Webhook, Webhooks } from './types.ts';

export type * from './types.ts';

export interface WebhooksDeps extends HandOverDeps {
  /** Bytes of what a function gets. */
  maxEventBytes: number;
  /** Asked before a delivery is written. */
  headroom?: Pick<Headroom, 'assert'>;
  keepMs?: number;
  /** What secrets are sealed with. */
  box: TextBox;
}

const MOST_REDELIVERED = 1_000;

export interface OpenedWebhooks extends Webhooks {
  /** What is due becomes invocations now; the timer does the same. */
  round(): Promise<void>;
  /** Forgets what is old now; the timer does the same. */
  forget(): Promise<void>;
}

export function openWebhooks(deps: WebhooksDeps): OpenedWebhooks {
  const { redis, bodies, namespace, now = Date.now } = deps;
  const keys = keysOf(namespace);
  const store = createDefinitionStore(deps);
  const definitions = createDefinitions(store, deps);
  const handOver = startHandOver(deps);
  const receive = createInbox({ ...deps, handOver });
  const deliveries = createDeliveries(deps);
  const retention = startRetention({ ...deps, list: store.list });

  const redeliver = async ({ id: webhookId, functionName, alias }: Webhook, id: string): Promise<void> => {
    const before = await deliveries.get(webhookId, id);
    const touched = [keys.delivery(id), keys.deliveriesDue];
    const args = [id, functionName, alias, now() + 2_000];
    const run = () => runScript(redis, redeliverScript, touched, args);
    const [answer] = (await withStore('redeliver', run)) as string[];
    if (answer === 'unknown') throw deliveries.notFound(id);
    if (answer === 'refused') {
      throw new WaferError('conflict', `${id} was not taken (${before.verdict}), so it is not handed over.`, {
        hint: 'Only deliveries that were accepted or filtered can be delivered again.',
      });
    }
    handOver.soon(id);
  };
  const viewed = ({ webhook, madeSecret }: { webhook: Webhook; madeSecret: string | null }) => ({
    webhook: toView(webhook),
    madeSecret,
  });

  return {
    create: async (input) => viewed(await definitions.create(input)),
    list: async () => (await store.list()).map(toView),
    get: async (ref) => toView(await store.get(ref)),
    update: async (ref, changes) => viewed(await definitions.update(ref, changes)),
    rotate: async (ref, options) => viewed(await definitions.rotate(ref, options)),
    remove: async (ref) => bodies.forget(await store.remove(ref)),
    find: store.find,
    receive,
    deliveries: async (ref, query) => deliveries.list((await store.get(ref)).id, query),
    async delivery(ref, id) {
      const delivery = await deliveries.get((await store.get(ref)).id, id);
      return { delivery, body: delivery.body === undefined ? null : await bodies.get(id, 'body', delivery.body) };
    },
    async redeliver(ref, id) {
      const webhook = await store.get(ref);
      await redeliver(webhook, id);
      return deliveries.get(webhook.id, id);
    },
    async redeliverRange(ref, { since, until }) {
      const webhook = await store.get(ref);
      const [from, to] = [deliveryIdPrefix(since), deliveryIdPrefix(until)];
      const ids = await deliveries.between(webhook.id, from, to, MOST_REDELIVERED + 1);
      const chosen = ids.slice(0, MOST_REDELIVERED);
      for (const id of chosen) await redeliver(webhook, id);
      return { redelivered: chosen.length, isCut: ids.length > MOST_REDELIVERED };
    },
    sample: async (ref, as) => makeSample(await store.get(ref), as, now()),
    round: handOver.round,
    forget: retention.round,
    async close() {
      await retention.close();
      await handOver.close();
    },
  };
}
