/** Reads the inbox. */
import type { Redis } from 'ioredis';
import { WaferError } from '../../errors.ts';
import { withStore } from '../../store/errors.ts';
import { keysOf } from '../../store/keys.ts';
import { toDelivery } from './record.ts';
import type { Delivery, DeliveryPage, DeliveryQuery } from './types.ts';

const ID = /^dlv_[0-9a-z]{26}$/;
/** Looked at for one page; a rare verdict gives short pages with a cursor. */
const SCAN_MAX = 2_000;
const SCAN_CHUNK = 200;

export function createDeliveries({ redis, namespace }: { redis: Redis; namespace?: string }) {
  const keys = keysOf(namespace);
  const before = (webhook: string, kind: 'taken' | 'other', cursor: string | undefined, count: number) =>
    redis.zrange(
      keys.deliveriesOf(webhook, kind),
      cursor === undefined ? '+' : `(${cursor}`,
      '-',
      'BYLEX',
      'REV',
      'LIMIT',
      0,
      count,
    );
  /** Of both lists, newest first. */
  const idsBefore = async (webhook: string, cursor: string | undefined, count: number): Promise<string[]> => {
    const both = (['taken', 'other'] as const).map((kind) => before(webhook, kind, cursor, count));
    const found = await withStore('list deliveries', () => Promise.all(both));
    return found.flat().sort().reverse().slice(0, count);
  };
  const read = async (id: string): Promise<Delivery | undefined> =>
    toDelivery(id, await withStore('read a delivery', () => redis.hgetall(keys.delivery(id))));
  const notFound = (id: string) =>
    new WaferError('delivery_not_found', `There is no delivery "${id.slice(0, 80)}" of this webhook.`, {
      hint: 'The newest 1,000 that were taken are kept, for 7 days.',
      details: { delivery: id.slice(0, 80) },
    });

  return {
    notFound,
    async get(webhook: string, id: string): Promise<Delivery> {
      const delivery = ID.test(id) ? await read(id) : undefined;
      if (delivery?.webhookId !== webhook) throw notFound(id);
      return delivery;
    },
    async list(webhook: string, { limit, cursor, verdict }: DeliveryQuery): Promise<DeliveryPage> {
      if (cursor !== undefined && !ID.test(cursor))
        throw new WaferError('invalid_request', 'cursor: is not from a page of deliveries.');
      const deliveries: Delivery[] = [];
      let from = cursor;
      for (let seen = 0; seen < SCAN_MAX; seen += SCAN_CHUNK) {
        const ids = await idsBefore(webhook, from, SCAN_CHUNK);
        for (const one of await Promise.all(ids.map(read))) {
          if (one !== undefined && (verdict === undefined || one.verdict === verdict)) deliveries.push(one);
          if (deliveries.length === limit) return { deliveries, cursor: one?.id ?? null };
        }
        if (ids.length < SCAN_CHUNK) return { deliveries, cursor: null };
        from = ids.at(-1);
      }
      return { deliveries, cursor: from ?? null };
    },
    /** Of those that were taken, oldest first. */
    between: (webhook: string, from: string, to: string, most: number): Promise<string[]> =>
      withStore('list deliveries', () =>
        redis.zrange(keys.deliveriesOf(webhook, 'taken'), `[${from}`, `(${to}`, 'BYLEX', 'LIMIT', 0, most),
      ),
  };
}
