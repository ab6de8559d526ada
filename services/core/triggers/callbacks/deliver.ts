/** One attempt at one delivery, and when the next one is. */
import { createHash } from 'node:crypto';
import type { Redis } from 'ioredis';
import { WaferError } from '../../errors.ts';
import type { FunctionStore } from '../../functions/types.ts';
import {
  type Bytes,
  callbackBody,
  callbackHeaders,
  followEvent,
  MOST_DEPTH,
} from '../../invocations/durable/follow.ts';
import { acceptOptions } from '../../invocations/durable/options.ts';
import type { DurableCalls, DurableRecord } from '../../invocations/durable/types.ts';
import type { TextBox } from '../../secrets/text-box.ts';
import { withStore } from '../../store/errors.ts';
import { keysOf } from '../../store/keys.ts';
import type { Poster } from './post.ts';
import { readSecrets, signatureHeaders } from './signature.ts';
import type { Delivery, DeliveryAttempt, Posted, SigningSecrets } from './types.ts';

export interface DeliverDeps {
  redis: Redis;
  calls: Pick<DurableCalls, 'accept' | 'get' | 'readBody'>;
  functions: Pick<FunctionStore, 'resolve'>;
  poster: Pick<Poster, 'post'>;
  /** What signing secrets are sealed with. */
  box: TextBox;
  namespace?: string;
  /** So many invocations may follow one another. */
  mostDepth?: number;
  /** Of the event of a function that follows: bodies that do not fit are left out. */
  mostBytes?: number;
  now?: () => number;
  random?: () => number;
}

/** Before each attempt but the first, in ms: after that it has failed. */
export const BACKOFF_MS = [5_000, 300_000, 1_800_000, 7_200_000, 18_000_000, 36_000_000];
export const MOST_ATTEMPTS = BACKOFF_MS.length + 1;
/** A tenth more or less, so that those that failed together do not come together. */
const SPREAD = 0.1;
const GONE_SECONDS = 86_400;
const MOST_ERROR = 300;
const ATTEMPTS_KEPT = 20;

/** As it is after the attempt. @throws WaferError `store_unavailable`, and what is nobody's fault */
export async function attemptDelivery(deps: DeliverDeps, record: DurableRecord, delivery: Delivery): Promise<Delivery> {
  const { now = Date.now } = deps;
  const at = now();
  if (delivery.kind === 'function') return startFollower(deps, record, delivery, at);
  // Sent again by hand: whoever did that knows that it is there again.
  const isByHand = delivery.tries === 0 && delivery.attempts.length > 0;
  const [gone, secrets, result] = await Promise.all([
    isGone(deps, delivery.to),
    readSecrets(deps),
    resultOf(deps, record),
  ]);
  if (gone && !isByHand) {
    const error = 'the receiver answered 410 before, and gets nothing for a day';
    return ended(delivery, 'gone', { at, durationMs: 0, error });
  }
  const posted = await post(deps, callbackBody(record, result), { record, delivery, secrets, at });
  const attempt = { at, durationMs: Math.max(0, now() - at), ...outcomeOf(posted) };
  if (!('status' in posted)) return again(deps, delivery, attempt, 0);
  if (posted.status === 410) await markGone(deps, delivery.to, at);
  if (posted.status === 410) return ended(delivery, 'gone', attempt);
  if (posted.status >= 200 && posted.status < 300) return ended(delivery, 'delivered', attempt);
  return again(deps, delivery, attempt, posted.retryAfterMs ?? 0);
}

function outcomeOf(posted: Posted): Pick<DeliveryAttempt, 'status' | 'error'> {
  if (!('status' in posted)) return { error: posted.error.slice(0, MOST_ERROR) };
  const { status } = posted;
  return { status, ...(status >= 300 && status < 400 && { error: 'redirects are not followed' }) };
}

const goneKey = ({ namespace }: DeliverDeps, url: string) =>
  keysOf(namespace).callbackGone(createHash('sha256').update(url).digest('hex'));
const isGone = async (deps: DeliverDeps, url: string) =>
  (await withStore('look up a receiver', () => deps.redis.exists(goneKey(deps, url)))) === 1;
const markGone = (deps: DeliverDeps, url: string, at: number) =>
  withStore('note a receiver', () => deps.redis.set(goneKey(deps, url), String(at), 'EX', GONE_SECONDS));

interface Post {
  record: DurableRecord;
  delivery: Delivery;
  secrets: SigningSecrets;
  at: number;
}

async function post({ poster }: DeliverDeps, { contentType, bytes }: Bytes, about: Post): Promise<Posted> {
  const { record, delivery, secrets, at } = about;
  const headers = {
    // A function says what its result is; not all of that can be a header.
    'content-type': /^[\t\x20-\x7e]{1,255}$/.test(contentType) ? contentType : 'application/octet-stream',
    'user-agent': 'wafer',
    ...callbackHeaders(record, delivery.tries + 1, MOST_ATTEMPTS),
    ...signatureHeaders(secrets, { id: delivery.messageId, at, body: bytes }),
  };
  return poster.post(delivery.to, headers, bytes);
}

async function startFollower(
  deps: DeliverDeps,
  record: DurableRecord,
  delivery: Delivery,
  at: number,
): Promise<Delivery> {
  const { now = Date.now } = deps;
  const since = () => ({ at, durationMs: Math.max(0, now() - at) });
  try {
    const invocation = await acceptFollower(deps, record, delivery);
    return { ...ended(delivery, 'delivered', since()), invocation };
  } catch (error) {
    if (!(error instanceof WaferError)) throw error;
    const attempt = { ...since(), code: error.code, error: error.message.slice(0, MOST_ERROR) };
    if (error.status === 404 || error.code === 'chain_too_deep') return ended(delivery, 'failed', attempt);
    const wanted = Number(error.details?.['retryAfterMs']);
    return again(deps, delivery, attempt, Number.isFinite(wanted) ? wanted : 0);
  }
}

/** However often it is called, one invocation follows. @throws WaferError `chain_too_deep`, and what `accept` throws */
async function acceptFollower(deps: DeliverDeps, record: DurableRecord, delivery: Delivery): Promise<string> {
  const { calls, functions, mostDepth = MOST_DEPTH } = deps;
  const depth = record.depth + 1;
  if (depth > mostDepth) throw tooDeep(record, delivery.to, mostDepth);
  const version = await functions.resolve(delivery.to);
  const request = { contentType: record.request.contentType, bytes: await calls.readBody(record, 'event') };
  try {
    const { id } = await calls.accept({
      ...acceptOptions(version),
      functionName: version.functionName,
      version: version.number,
      trigger: 'chain',
      origin: record.id,
      depth,
      body: followEvent(record, request, await resultOf(deps, record), deps.mostBytes),
      contentType: 'application/json',
      idempotencyKey: `chain:${delivery.messageId}`,
    });
    return id;
  } catch (error) {
    const first = error instanceof WaferError && error.code === 'idempotency_conflict' && error.details?.['invocation'];
    if (typeof first === 'string') return first;
    throw error;
  }
}

const tooDeep = ({ functionName, depth }: DurableRecord, to: string, most: number) =>
  new WaferError(
    'chain_too_deep',
    `${to} would follow ${functionName}, to which ${depth} invocations led one after another; ${most} may.`,
    { hint: 'Look for a loop in onSuccess and onFailure, or raise WAFER_MAX_CHAIN.' },
  );

async function resultOf({ calls }: Pick<DeliverDeps, 'calls'>, record: DurableRecord): Promise<Bytes | null> {
  if (record.result === undefined) return null;
  return { contentType: record.result.contentType, bytes: await calls.readBody(record, 'result') };
}

function ended({ next: _next, ...delivery }: Delivery, state: Delivery['state'], attempt: DeliveryAttempt): Delivery {
  const attempts = [...delivery.attempts, attempt].slice(-ATTEMPTS_KEPT);
  return { ...delivery, state, attempts, tries: delivery.tries + 1 };
}

function again(
  { random = Math.random }: DeliverDeps,
  delivery: Delivery,
  attempt: DeliveryAttempt,
  atLeastMs: number,
): Delivery {
  const wait = BACKOFF_MS[delivery.tries];
  if (wait === undefined) return ended(delivery, 'failed', attempt);
  const spread = Math.round(wait * (1 + SPREAD * (2 * random() - 1)));
  return { ...ended(delivery, 'pending', attempt), next: attempt.at + Math.max(spread, Math.round(atLeastMs)) };
}
