/** Accepts, reads, waits, cancels. */
import type { Redis } from 'ioredis';
import { isInvocationId } from '../../ids.ts';
import type { CallQueue } from '../../queue/types.ts';
import { withStore } from '../../store/errors.ts';
import type { Headroom } from '../../store/headroom.ts';
import { keysOf } from '../../store/keys.ts';
import { cancelScript } from '../../store/scripts/durable.ts';
import { runScript } from '../../store/scripts/script.ts';
import { invocationNotFound } from '../records.ts';
import { createAccept } from './accept.ts';
import type { Bodies } from './bodies.ts';
import type { Endings } from './endings.ts';
import { listDurable } from './list.ts';
import { readHash } from './read.ts';
import { toRecord } from './record.ts';
import { type DurableCalls, type DurableRecord, FINAL_STATES, type TimelineEntry } from './types.ts';

export interface CallsDeps {
  redis: Redis;
  queue: CallQueue;
  bodies: Bodies;
  endings: Endings;
  headroom?: Pick<Headroom, 'assert'>;
  namespace?: string;
  /** Accepted and not ended, of a function whose version does not say how many. */
  mostPending?: number;
  /** How long an idempotency key names its invocation. */
  idempotencyMs?: number;
  now?: () => number;
}

export const DEFAULT_PENDING = 100_000;
export const DEFAULT_IDEMPOTENCY_MS = 86_400_000;

export function createDurableCalls(deps: CallsDeps): DurableCalls {
  const { redis, queue, bodies, endings, now = Date.now } = deps;
  const { root } = keysOf(deps.namespace);

  const accept = createAccept({
    redis,
    queue,
    bodies,
    headroom: deps.headroom,
    root,
    mostPending: deps.mostPending ?? DEFAULT_PENDING,
    idempotencyMs: deps.idempotencyMs ?? DEFAULT_IDEMPOTENCY_MS,
    now,
  });

  const get = async (id: string): Promise<DurableRecord> => {
    const { hash, timeline } = isInvocationId(id) ? await readHash(redis, root, id) : { hash: {}, timeline: [] };
    const record = toRecord(id, hash, timeline);
    if (record === undefined) throw invocationNotFound(id);
    return record;
  };

  return {
    accept,
    acceptAll: (requests) =>
      Promise.all(
        requests.map((request) => accept(request).catch((error: unknown) => ({ kind: 'refused' as const, error }))),
      ),
    get,
    list: (query) => listDurable(redis, deps.namespace, query),
    readBody: (record, part) => readPart(bodies, record, part),
    async wait(id, ms, signal) {
      const ended = endings.of(id, AbortSignal.any([signal, AbortSignal.timeout(ms)]));
      const first = await get(id);
      if (FINAL_STATES.includes(first.state)) return first;
      await ended;
      return get(id);
    },
    async cancel(id, reason) {
      const at = now();
      const ends = [{ kind: 'cancelled', message: reason }, { at, event: 'cancelled', reason } satisfies TimelineEntry];
      const args = [root, at, id, reason, ...ends.map((end) => JSON.stringify(end))];
      const [answer, ...woken] = (await withStore('cancel a call', () =>
        runScript(redis, cancelScript, [], args),
      )) as string[];
      if (answer === 'unknown') throw invocationNotFound(id);
      if (answer === 'cancelled') {
        await queue.remove(id);
        await queue.hurry(woken);
      }
      return get(id);
    },
  };
}

/** The latest result counts; an attempt that lost its claim may have left another file. */
function readPart(bodies: Bodies, record: DurableRecord, part: 'event' | 'result'): Promise<Buffer> {
  if (part === 'event') return bodies.get(record.id, 'event', record.request);
  if (record.result === undefined) return Promise.resolve(Buffer.alloc(0));
  return bodies.get(record.id, `result.${record.attempts}`, record.result);
}
