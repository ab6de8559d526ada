/** Deliveries of an invocation, as they are stored. */
import type { Redis } from 'ioredis';
import { followersOf } from '../../invocations/durable/follow.ts';
import type { DurableRecord, TimelineEntry } from '../../invocations/durable/types.ts';
import { withStore } from '../../store/errors.ts';
import { keysOf } from '../../store/keys.ts';
import { noteDeliveriesScript } from '../../store/scripts/callbacks.ts';
import { runScript } from '../../store/scripts/script.ts';
import type { Delivery } from './types.ts';

interface Place {
  redis: Redis;
  namespace?: string;
}

/** `text`: as it was read; '' before the first attempt. */
export interface Stored {
  delivery: Delivery;
  text: string;
}

/** By target: what was tried, or asked for. */
export const readTexts = ({ redis, namespace }: Place, id: string): Promise<Record<string, string>> =>
  withStore('read deliveries', () => redis.hgetall(keysOf(namespace).deliveries(id)));

/** All that follows the record, whether it was tried or not. */
export const readDeliveries = async (place: Place, record: DurableRecord): Promise<Stored[]> =>
  toDeliveries(record, await readTexts(place, record.id));

export function toDeliveries(record: DurableRecord, hash: Record<string, string>): Stored[] {
  return followersOf(record).map((planned) => {
    const text = hash[planned.target] ?? '';
    return { text, delivery: text === '' ? planned : (JSON.parse(text) as Delivery) };
  });
}

export interface Change {
  before: Stored;
  after: Delivery;
}

/** Those that somebody else has changed since stay as they are. False: the invocation is not known any more. */
export async function noteDeliveries({ redis, namespace }: Place, id: string, changes: Change[]): Promise<boolean> {
  const args = changes.flatMap(({ before, after }) => [
    after.target,
    before.text,
    JSON.stringify(after),
    entryOf(after),
  ]);
  const known = await withStore('note a delivery', () =>
    runScript(redis, noteDeliveriesScript, [], [keysOf(namespace).root, id, ...args]),
  );
  return known === 1;
}

/** Of what is final. */
function entryOf({ state, target, kind, to, attempts, invocation }: Delivery): string {
  const last = attempts.at(-1);
  if (state === 'pending' || last === undefined) return '';
  const answer = [
    last.status === undefined ? '' : `it answered ${last.status}`,
    last.code === undefined ? '' : last.code,
    last.error ?? '',
  ];
  const got = kind === 'function' ? `${to} runs as ${invocation}` : `${to} got it`;
  const failed = `${to}: ${answer.filter((part) => part !== '').join(': ')}`;
  const entry: TimelineEntry = {
    at: last.at + last.durationMs,
    event: state === 'delivered' ? 'delivered' : 'undelivered',
    reason: `${target}: ${state === 'delivered' ? got : failed}`,
  };
  return JSON.stringify(entry);
}
