/** Who follows an invocation that has ended, and what they are told. */
import { ERRORS, toProblem, WaferError } from '../../errors.ts';
import { toFollower } from '../../functions/followers.ts';
import type { Delivery, DeliveryTarget, FollowEvent } from '../../triggers/callbacks/types.ts';
import type { DurableRecord } from './types.ts';

/** So many invocations may lead to one another: more is taken for a loop. */
export const MOST_DEPTH = 16;
/** Of a function's event, as everywhere. */
export const MOST_EVENT_BYTES = 6 * 1024 * 1024;

/** Of one that has ended; a cancelled one has neither succeeded nor failed. All are due at once. */
export function followersOf({ id, state, callbackUrl, onSuccess, onFailure, finishedAt }: DurableRecord): Delivery[] {
  if (finishedAt === undefined) return [];
  const hasFailed = state === 'failed' || state === 'expired';
  const named: [DeliveryTarget, string | undefined][] = [
    ['onSuccess', state === 'succeeded' ? onSuccess : undefined],
    ['onFailure', hasFailed ? onFailure : undefined],
  ];
  const pending = (target: DeliveryTarget, kind: Delivery['kind'], to: string): Delivery => ({
    target,
    kind,
    to,
    messageId: `msg_${id.slice('inv_'.length)}_${target}`,
    state: 'pending',
    attempts: [],
    tries: 0,
    next: finishedAt,
  });
  return [
    ...(callbackUrl === undefined ? [] : [pending('callback', 'url', callbackUrl)]),
    ...named.flatMap(([target, text]) => {
      if (text === undefined) return [];
      const follower = toFollower(text);
      return [pending(target, follower.kind, follower.kind === 'url' ? follower.url : follower.name)];
    }),
  ];
}

export interface Bytes {
  contentType: string;
  bytes: Buffer;
}

/** The event of a function that follows. It depends on the record alone, so that it is the same in every attempt. */
export function followEvent(
  record: DurableRecord,
  request: Bytes,
  result: Bytes | null,
  mostBytes = MOST_EVENT_BYTES,
): Buffer {
  const { id, functionName, version, trigger, origin, depth, state, acceptedAt, finishedAt, attempts, outcome } =
    record;
  const event: FollowEvent = {
    invocation: {
      id,
      functionName,
      version,
      trigger,
      ...(origin !== undefined && { origin }),
      depth,
      state,
      acceptedAt,
      ...(finishedAt !== undefined && { finishedAt }),
      attempts,
      ...(outcome !== undefined && { outcome }),
    },
    request: toValue(request),
    result: result === null ? null : toValue(result),
  };
  for (const left of [event, { ...event, request: null }]) {
    const body = Buffer.from(JSON.stringify(left));
    if (body.length <= mostBytes) return body;
  }
  return Buffer.from(JSON.stringify({ ...event, request: null, result: null }));
}

function toValue({ contentType, bytes }: Bytes): unknown {
  if (bytes.length === 0) return null;
  if (/^application\/(?:[\w.+-]+\+)?json\b/i.test(contentType)) {
    try {
      return JSON.parse(bytes.toString());
    } catch {
      // said to be JSON, and is not
    }
  }
  if (/^text\//i.test(contentType)) return bytes.toString();
  return { contentType, base64: bytes.toString('base64') };
}

/** The body of a POST: the result; of one that did not succeed the problem, as the API answers it. */
export function callbackBody(record: DurableRecord, result: Bytes | null): Bytes {
  const { outcome } = record;
  if (outcome === undefined || outcome.kind === 'ok')
    return result ?? { contentType: 'application/json', bytes: Buffer.from('null') };
  const problem = { ...toProblem(new WaferError(outcome.kind, outcome.message)), invocation: record.id };
  return { contentType: 'application/problem+json', bytes: Buffer.from(JSON.stringify(problem)) };
}

/** What the OpenFaaS queue worker sends, and our own names. */
export function callbackHeaders(record: DurableRecord, attempt: number, most: number): Record<string, string> {
  const { id, functionName, outcome, acceptedAt, startedAt = acceptedAt, finishedAt = startedAt, state } = record;
  return {
    'x-call-id': id,
    'x-wafer-invocation': id,
    'x-wafer-state': state,
    'x-function-name': functionName,
    'x-function-status': String(outcome === undefined || outcome.kind === 'ok' ? 200 : ERRORS[outcome.kind].status),
    'x-duration-seconds': ((finishedAt - startedAt) / 1000).toFixed(6),
    'x-retry': String(attempt - 1),
    'x-retry-max': String(most - 1),
  };
}
