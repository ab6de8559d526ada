/**
 * Accepts, in groups: what comes in one turn of the loop is written by one script, and pushed behind it. Each
 * answer waits for the disk, so a group costs what one alone does, and under load groups form by themselves.
 */
import type { Redis } from 'ioredis';
import { WaferError } from '../../errors.ts';
import { newInvocationId } from '../../ids.ts';
import type { CallQueue, Ticket } from '../../queue/types.ts';
import { withStore } from '../../store/errors.ts';
import type { Headroom } from '../../store/headroom.ts';
import { inOneWrite } from '../../store/one-write.ts';
import { acceptScript } from '../../store/scripts/durable.ts';
import { runScriptInOrder } from '../../store/scripts/script.ts';
import { type Bodies, digestOf } from './bodies.ts';
import { collectPushed } from './pushed-groups.ts';
import { toNewRecord } from './record.ts';
import type { Accepted, AcceptRequest, StoredBody } from './types.ts';

export interface AcceptDeps {
  redis: Redis;
  queue: Pick<CallQueue, 'push' | 'pushAll' | 'remove'>;
  bodies: Pick<Bodies, 'put' | 'forget'>;
  /** Asked before anything is written. */
  headroom?: Pick<Headroom, 'assert'> | undefined;
  /** Of the namespace's keys. */
  root: string;
  /** Accepted and not ended, of a function whose version does not say how many. */
  mostPending: number;
  /** How long an idempotency key names its invocation. */
  idempotencyMs: number;
  now: () => number;
}

/** On disk when it resolves. @throws WaferError `overloaded | idempotency_conflict | store_unavailable | disk_full` */
export type Accept = (request: AcceptRequest) => Promise<Accepted>;

interface Item {
  id: string;
  at: number;
  request: AcceptRequest;
  body: StoredBody;
  /** Pending ones of the function. */
  most: number;
  resolve(accepted: Accepted): void;
  reject(error: unknown): void;
}

/** What the script says of one: its number in the group, from 1. */
type Refusal = readonly [number: number, kind: string, detail: string | number];

/** One script holds up all others for the time that it takes. */
const MOST_IN_GROUP = 100;
/** So many share the wait for the disk well enough. */
const FULL_GROUP = 16;
const FULL_RETRY_MS = 1_000;

export function createAccept(deps: AcceptDeps): Accept {
  const waiting: Item[] = [];
  let isRest = false;
  /** Functions whose last call was refused: theirs are pushed when they are known to be taken. */
  const full = new Set<string>();
  const inQueue = collectPushed(deps.redis, deps.root);

  const flush = () => {
    // Of many that came at once half, then the others, which are made ready while Redis writes the first.
    const part = isRest ? waiting.length : Math.max(FULL_GROUP, Math.ceil(waiting.length / 2));
    const group = waiting.splice(0, Math.min(part, MOST_IN_GROUP));
    isRest = waiting.length > 0;
    if (isRest) setImmediate(flush);
    inOneWrite(deps.redis);
    const taken = commit(deps, full, group);
    inQueue.tell();
    taken.then(inQueue.add).catch((error: unknown) => {
      for (const { reject } of group) reject(error);
    });
  };
  const forget = async (id: string, body: StoredBody) => {
    if (body.inline === undefined) await deps.bodies.forget([id]);
  };
  return async (request) => {
    deps.headroom?.assert();
    const at = deps.now();
    const id = newInvocationId(at);
    const body = await deps.bodies.put(id, 'event', request.body, request.contentType);
    const most = request.limits.pending ?? deps.mostPending;
    const { promise, ...settle } = withResolvers<Accepted>();
    waiting.push({ id, at, request, body, most, ...settle });
    if (waiting.length === 1) setImmediate(flush);
    try {
      const accepted = await promise;
      if (accepted.kind === 'repeated') await forget(id, body);
      return accepted;
    } catch (error) {
      // When the answer was lost it may have been written; `forgetStrays` looks at what is left.
      if (error instanceof WaferError && error.code !== 'store_unavailable') await forget(id, body);
      throw error;
    }
  };
}

/** Writes and pushes; those that are refused, or were there, hear of it. Resolves to the ids that were taken. */
async function commit(deps: AcceptDeps, full: Set<string>, group: Item[]): Promise<string[]> {
  const { queue } = deps;
  const written = runAccept(deps, group);
  // Both are sent at once and run in this order: a ticket without a record is thrown away by whoever draws it.
  // A record without a ticket is pushed again by the sweep.
  const early = group.filter(({ request }) => request.idempotencyKey === undefined && !full.has(request.functionName));
  const pushed = push(queue, early);
  pushed.catch(() => {}); // must not be left without a handler when the other fails
  const refused = await written;
  const taken = group.filter((item) => !refused.has(item));
  const sent = new Set(early);
  await Promise.all([
    pushed,
    push(
      queue,
      taken.filter((item) => !sent.has(item)),
    ),
  ]);
  for (const item of group) {
    const refusal = refused.get(item);
    const { functionName } = item.request;
    const isFull = refusal?.[1] === 'full';
    if (isFull) full.add(functionName);
    else full.delete(functionName);
    // Nothing waits in the queue for what was not taken, however long all workers are busy.
    if (isFull && sent.has(item)) void queue.remove(item.id).catch(() => {});
    const accepted = refusal ? readRefusal(deps, item, refusal) : ({ kind: 'accepted', id: item.id } as const);
    if (accepted instanceof WaferError) item.reject(accepted);
    else item.resolve(accepted);
  }
  return taken.map(({ id }) => id);
}

async function runAccept({ redis, root, idempotencyMs, now }: AcceptDeps, group: Item[]): Promise<Map<Item, Refusal>> {
  const seconds = String(Math.ceil(idempotencyMs / 1000));
  const parts = group.map(({ id, at, request, body, most }) => {
    const { functionName, idempotencyKey } = request;
    const once = idempotencyKey === undefined ? '' : digestOf(Buffer.from(`${functionName}\n${idempotencyKey}`));
    const { fixed, fields } = toNewRecord(request, body, at);
    return { fixed, call: [id, functionName, most, once, once && digestOf(request.body), ...fields] };
  });
  const calls = JSON.stringify(parts.map(({ call }) => call));
  const args = [root, now(), seconds, calls, ...parts.map(({ fixed }) => fixed)];
  const refused = await withStore('accept a call', () => runScriptInOrder(redis, acceptScript, [], args));
  return new Map((refused as Refusal[]).map((refusal) => [group[refusal[0] - 1] as Item, refusal]));
}

async function push(queue: AcceptDeps['queue'], items: Item[]): Promise<void> {
  const [first, ...more] = items.map(({ id, request }) => toTicket(id, request));
  if (first !== undefined) await (more.length === 0 ? queue.push(first) : queue.pushAll([first, ...more]));
}

const toTicket = (id: string, { runAt, priority }: AcceptRequest): Ticket => ({
  id,
  ...(runAt !== undefined && { runAt }),
  ...(priority !== undefined && { priority }),
});

function readRefusal({ idempotencyMs }: AcceptDeps, item: Item, [, kind, detail]: Refusal): Accepted | WaferError {
  const { most, request } = item;
  if (kind === 'repeated') return { kind, id: String(detail) };
  if (kind === 'conflict') {
    const message = `The Idempotency-Key was used for ${detail} with another body.`;
    const hint = `A key names one request, for ${inHours(idempotencyMs)}; use a new one for another.`;
    return new WaferError('idempotency_conflict', message, { hint, details: { invocation: detail } });
  }
  const message = `${request.functionName} has ${detail} calls that have not ended; ${most} may be.`;
  const hint = 'Try again later, or raise queue.maxPending in wafer.json.';
  return new WaferError('overloaded', message, { hint, details: { retryAfterMs: FULL_RETRY_MS } });
}

const inHours = (ms: number) => (ms % 3_600_000 === 0 ? `${ms / 3_600_000} hours` : `${Math.ceil(ms / 1000)} s`);

/** `Promise.withResolvers`, which Node 20 does not have. */
function withResolvers<T>() {
  let resolve: (value: T) => void = () => {};
  let reject: (error: unknown) => void = () => {};
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}
