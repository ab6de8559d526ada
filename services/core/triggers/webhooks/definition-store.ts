/** Definitions of webhooks in Redis; each change is checked against what it was made from. */
import type { Redis } from 'ioredis';
import { WaferError } from '../../errors.ts';
import type { TextBox } from '../../secrets/text-box.ts';
import { withStore } from '../../store/errors.ts';
import { keysOf } from '../../store/keys.ts';
import { runScript } from '../../store/scripts/script.ts';
import { removeWebhookScript, saveWebhookScript } from '../../store/scripts/webhooks.ts';
import { fromJson, toJson } from './stored.ts';
import type { Webhook } from './types.ts';

export const MOST_WEBHOOKS = 1_000;
const TRIES = 5;
const ID = /^whk_[0-9a-z]{26}$/;

export type DefinitionStore = ReturnType<typeof createDefinitionStore>;

export interface DefinitionStoreDeps {
  redis: Redis;
  /** What secrets are sealed with. */
  box: TextBox;
  namespace?: string;
}

export function createDefinitionStore({ redis, box, namespace }: DefinitionStoreDeps) {
  const keys = keysOf(namespace);
  const save = async (webhook: Webhook, before: string): Promise<string> => {
    const args = [webhook.name, webhook.id, before, toJson(webhook, box), MOST_WEBHOOKS];
    const touched = [keys.webhookNames, keys.webhook(webhook.id)];
    return String(await withStore('keep a webhook', () => runScript(redis, saveWebhookScript, touched, args)));
  };
  const byId = async (id: string): Promise<string | null> =>
    ID.test(id) ? withStore('read a webhook', () => redis.get(keys.webhook(id))) : null;
  const read = async (ref: string): Promise<{ json: string; webhook: Webhook }> => {
    const id = ID.test(ref) ? ref : await withStore('read a webhook', () => redis.hget(keys.webhookNames, ref));
    const json = id === null ? null : await byId(id);
    if (json === null) throw webhookNotFound(ref);
    return { json, webhook: fromJson(json, box) };
  };
  return {
    /** @returns `ok` | `taken` | `full` */
    add: (webhook: Webhook) => save(webhook, ''),
    /** By name or id. @throws WaferError `webhook_not_found` */
    get: async (ref: string): Promise<Webhook> => (await read(ref)).webhook,
    /** By id only: a name would be easy to guess. @throws WaferError `webhook_not_found` */
    async find(id: string): Promise<Webhook> {
      const json = await byId(id);
      if (json === null) throw new WaferError('webhook_not_found', 'There is no webhook at this URL.');
      return fromJson(json, box);
    },
    /** Tries again when somebody else was faster. */
    async change(ref: string, apply: (webhook: Webhook) => Webhook): Promise<Webhook> {
      for (let attempt = 0; attempt < TRIES; attempt++) {
        const { json, webhook } = await read(ref);
        const next = apply(webhook);
        if ((await save(next, json)) === 'ok') return next;
      }
      throw new WaferError('conflict', `The webhook ${ref} is being changed by somebody else again and again.`);
    },
    async list(): Promise<Webhook[]> {
      const names = await withStore('list webhooks', () => redis.hgetall(keys.webhookNames));
      const ids = Object.entries(names).sort(([one], [other]) => (one < other ? -1 : 1));
      if (ids.length === 0) return [];
      const found = await withStore('list webhooks', () => redis.mget(ids.map(([, id]) => keys.webhook(id))));
      return found.flatMap((json) => (json === null ? [] : [fromJson(json, box)]));
    },
    /** @returns ids of its deliveries */
    async remove(ref: string): Promise<string[]> {
      const { webhook } = await read(ref);
      const lists = (['taken', 'other'] as const).map((kind) => keys.deliveriesOf(webhook.id, kind));
      const touched = [keys.webhookNames, keys.webhook(webhook.id), ...lists, keys.deliveriesDue];
      const args = [webhook.name, keys.deliveryPrefix];
      const gone = await withStore('remove a webhook', () => runScript(redis, removeWebhookScript, touched, args));
      return gone as string[];
    },
  };
}

const webhookNotFound = (ref: string) =>
  new WaferError('webhook_not_found', `There is no webhook "${ref.slice(0, 80)}".`, {
    details: { webhook: ref.slice(0, 80) },
  });
