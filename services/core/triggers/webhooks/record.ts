/** The hash of a delivery, as fields and as a delivery. */
import type { StoredBody } from '../../invocations/durable/types.ts';
import type { Delivery, Verdict } from './types.ts';

export type NewDelivery = Omit<Delivery, 'invocations' | 'pending' | 'error'>;

export function toFields(delivery: NewDelivery, wanted: number): string[] {
  const { headers, body, id: _id, ...plain } = delivery;
  const fields: Record<string, string | number | undefined> = {
    ...plain,
    wanted,
    headers: JSON.stringify(headers),
    body: body && JSON.stringify(body),
  };
  return Object.entries(fields).flatMap(([name, value]) => (value === undefined ? [] : [name, String(value)]));
}

/** Undefined when there is no such hash. */
export function toDelivery(id: string, hash: Record<string, string>): Delivery | undefined {
  const { webhookId, webhook, verdict, functionName, alias } = hash;
  if (webhookId === undefined || webhook === undefined || verdict === undefined) return undefined;
  return {
    id,
    webhookId,
    webhook,
    receivedAt: Number(hash['receivedAt']),
    verdict: verdict as Verdict,
    headers: JSON.parse(hash['headers'] ?? '{}') as Record<string, string>,
    bodyBytes: Number(hash['bodyBytes']),
    functionName: functionName ?? '',
    alias: alias ?? '',
    invocations: invocationsOf(hash),
    pending: Math.max(0, Number(hash['wanted'] ?? 0) - Number(hash['done'] ?? 0)),
    ...(hash['body'] !== undefined && { body: JSON.parse(hash['body']) as StoredBody }),
    ...texts(hash, ['first', 'deliveryId', 'eventType', 'error']),
  };
}

/** Number of the next invocation of it, from 1. */
export const nextNumber = (hash: Record<string, string>) => Number(hash['done'] ?? 0) + 1;

function invocationsOf(hash: Record<string, string>): Delivery['invocations'] {
  const numbers = Object.keys(hash)
    .filter((name) => name.startsWith('inv:'))
    .map((name) => Number(name.slice(4)))
    .sort((a, b) => a - b);
  return numbers.map((number) => {
    const [id = '', at] = (hash[`inv:${number}`] ?? '').split(' ');
    return { id, at: Number(at) };
  });
}

const texts = (hash: Record<string, string>, names: (keyof Delivery & string)[]): Partial<Delivery> =>
  Object.fromEntries(names.flatMap((name) => (hash[name] === undefined ? [] : [[name, hash[name]]])));
