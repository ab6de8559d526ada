/** Accepts, reads, waits, cancels. */
import type { Redis } from 'ioredis';
import { WaferError } from '../../errors.ts';
import { isInvocationId, newInvocationId } from '../../ids.ts';
import type { CallQueue, Ticket } from '../../queue/types.ts';
import { withStore } from '../../store/errors.ts';
import { keysOf } from '../../store/keys.ts';
import { acceptScript, cancelScript } from '../../store/scripts/durable.ts';
import { runScript } from '../../store/scripts/script.ts';
import { invocationNotFound } from '../records.ts';
import { type Bodies, digestOf } from './bodies.ts';
import type { Endings } from './endings.ts';
import { listDurable } from './list.ts';
import { readHash } from './read.ts';
import { toFields, toRecord } from './record.ts';
import {
  type Accepted,
  type AcceptRequest,
  type DurableCalls,
  type DurableRecord,
  FINAL_STATES,
  type TimelineEntry,
} from './types.ts';

export interface CallsDeps {
  redis: Redis;
  queue: CallQueue;
  bodies: Bodies;
  endings: Endings;
  namespace?: string;
  /** Accepted and not ended, of a function whose version does not say how many. */
  mostPending?: number;
  /** How long an idempotency key names its invocation. */
  idempotencyMs?: number;
  now?: () => number;
}

export const DEFAULT_PENDING = 100_000;
export const DEFAULT_IDEMPOTENCY_MS = 86_400_000;
const FULL_RETRY_MS = 1_000;

export function createDurableCalls(deps: CallsDeps): DurableCalls {
  const { redis, queue, bodies, endings, now = Date.now } = deps;
  const { root } = keysOf(deps.namespace);

  const accept = async (request: AcceptRequest): Promise<Accepted> => {
    const at = now();
    const id = newInvocationId(at);
    const body = await bodies.put(id, 'event', request.body, request.contentType);
    const bounds = boundsOf(deps, request);
    const written = runAccept(redis, root, { id, at, ...bounds, request, fields: toFields(request, body, at) });
    // Both are sent at once, in this order. A ticket without a record is thrown away by whoever draws it,
    // and a record without a ticket is pushed again by the sweep.
    const pushed = request.idempotencyKey === undefined ? queue.push(toTicket(id, request)) : undefined;
    const answer = await settled(written, pushed);
    const done = readAnswer(answer, id, request, bounds);
    if (done.kind === 'repeated') await bodies.forget([id]);
    else {
      await (pushed ?? queue.push(toTicket(id, request)));
      // Nobody waits for it: the sweep would only push once more.
      void redis.zrem(`${root}:pushing`, id).catch(() => {});
    }
    return done;
  };

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

const boundsOf = (deps: CallsDeps, { limits }: AcceptRequest) => ({
  most: limits.pending ?? deps.mostPending ?? DEFAULT_PENDING,
  idempotencyMs: deps.idempotencyMs ?? DEFAULT_IDEMPOTENCY_MS,
});

const toTicket = (id: string, { runAt, priority }: AcceptRequest): Ticket => ({
  id,
  ...(runAt !== undefined && { runAt }),
  ...(priority !== undefined && { priority }),
});

interface Writing {
  id: string;
  at: number;
  request: AcceptRequest;
  /** Pending ones of the function. */
  most: number;
  idempotencyMs: number;
  fields: string[];
}

async function runAccept(redis: Redis, root: string, writing: Writing): Promise<string[]> {
  const { id, at, request, most, idempotencyMs, fields } = writing;
  const { functionName, idempotencyKey } = request;
  const once = idempotencyKey === undefined ? '' : digestOf(Buffer.from(`${functionName}\n${idempotencyKey}`));
  const entry: TimelineEntry = { at, event: 'accepted', ...(request.runAt !== undefined && { next: request.runAt }) };
  const settings = [functionName, most, once, digestOf(request.body), Math.ceil(idempotencyMs / 1000)];
  const args = [root, at, id, ...settings, JSON.stringify(entry), ...fields];
  return (await withStore('accept a call', () => runScript(redis, acceptScript, [], args))) as string[];
}

/** The second must not be left without a handler when the first one fails. */
async function settled<T>(first: Promise<T>, second: Promise<unknown> | undefined): Promise<T> {
  second?.catch(() => {});
  return await first;
}

function readAnswer(
  [kind, detail]: string[],
  id: string,
  { functionName }: AcceptRequest,
  { most, idempotencyMs }: Pick<Writing, 'most' | 'idempotencyMs'>,
): Accepted {
  if (kind === 'accepted') return { kind, id };
  if (kind === 'repeated') return { kind, id: detail ?? id };
  if (kind === 'conflict') {
    throw new WaferError('idempotency_conflict', `The Idempotency-Key was used for ${detail} with another body.`, {
      hint: `A key names one request, for ${inHours(idempotencyMs)}; use a new one for another.`,
      details: { invocation: detail },
    });
  }
  throw new WaferError('overloaded', `${functionName} has ${detail} calls that have not ended; ${most} may be.`, {
    hint: 'Try again later, or raise queue.maxPending in wafer.json.',
    details: { retryAfterMs: FULL_RETRY_MS },
  });
}

const inHours = (ms: number) => (ms % 3_600_000 === 0 ? `${ms / 3_600_000} hours` : `${Math.ceil(ms / 1000)} s`);

/** The latest result counts; an attempt that lost its claim may have left another file. */
function readPart(bodies: Bodies, record: DurableRecord, part: 'event' | 'result'): Promise<Buffer> {
  if (part === 'event') return bodies.get(record.id, 'event', record.request);
  if (record.result === undefined) return Promise.resolve(Buffer.alloc(0));
  return bodies.get(record.id, `result.${record.attempts}`, record.result);
}
