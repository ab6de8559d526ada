/** The hash of an invocation, as fields and as a record. */
import { invocationTime } from '../../ids.ts';
import type { Ticket } from '../../queue/types.ts';
import type { AcceptRequest, DurableRecord, RetryPolicy, StoredBody, TimelineEntry } from './types.ts';

/** What is the same for the whole life of an invocation and no script looks at: one field, as JSON. */
interface Fixed
  extends Pick<
    AcceptRequest,
    'version' | 'trigger' | 'origin' | 'depth' | 'runAt' | 'priority' | 'callbackUrl' | 'retry'
  > {
  acceptedAt: number;
  event: StoredBody;
  onSuccess?: string;
  onFailure?: string;
}

/** What `acceptScript` writes. */
export interface NewRecord {
  fixed: string;
  /** Fields and values that scripts look at; what is undefined is left out. */
  fields: string[];
}

export function toNewRecord(request: AcceptRequest, event: StoredBody, acceptedAt: number): NewRecord {
  const { version, trigger, origin, depth, runAt, priority, concurrencyKey, callbackUrl, retry, limits } = request;
  const { onSuccess, onFailure } = request.followers;
  // JSON leaves out what is undefined.
  const call: { [Name in keyof Required<Fixed>]: Fixed[Name] | undefined } = {
    version,
    trigger,
    origin,
    depth,
    acceptedAt,
    runAt,
    priority,
    callbackUrl,
    retry,
    event,
    onSuccess,
    onFailure,
  };
  const fields = ['functionName', request.functionName];
  const add = (name: string, value: string | number | undefined) => {
    if (value !== undefined) fields.push(name, String(value));
  };
  add('expiresAt', Math.max(acceptedAt, runAt ?? 0) + retry.maxAgeMs);
  add('concurrencyKey', concurrencyKey);
  add('mostAtOnce', limits.concurrency);
  add('mostPerKey', limits.concurrencyPerKey);
  add('rateEvery', limits.rate && limits.rate.periodMs / limits.rate.count);
  add('rateBurst', limits.rate?.burst);
  add('transaction', request.transaction && 1);
  // It goes into the outbox when it ends.
  if (callbackUrl !== undefined || onSuccess !== undefined || onFailure !== undefined) add('follow', 1);
  return { fixed: JSON.stringify(call), fields };
}

/** Null: nothing of this platform wrote it. */
function fixedOf(hash: Record<string, string>): Fixed | null {
  try {
    return JSON.parse(hash['call'] ?? 'null') as Fixed | null;
  } catch {
    return null;
  }
}

/** As it was pushed when it was accepted. */
export function ticketOf(id: string, hash: Record<string, string>): Ticket {
  const { runAt, priority } = fixedOf(hash) ?? {};
  return { id, ...(runAt !== undefined && { runAt }), ...(priority !== undefined && { priority }) };
}

/** What people see of one that can not be read: it can be found, and forgotten. */
const unreadable = (id: string): Omit<Fixed, 'retry'> => ({
  version: 0,
  trigger: 'async',
  depth: 0,
  acceptedAt: invocationTime(id) ?? 0,
  event: { contentType: '', bytes: 0, inline: '' },
});

/** Undefined when there is no such hash; without `retry` of a record that can not be read. */
export function readRecord(
  id: string,
  hash: Record<string, string>,
  timeline: string[],
): { record: DurableRecord; retry: RetryPolicy | undefined } | undefined {
  const { functionName, state } = hash;
  if (functionName === undefined || state === undefined) return undefined;
  const known: Partial<Pick<Fixed, 'retry'>> & Omit<Fixed, 'retry'> = fixedOf(hash) ?? unreadable(id);
  const { retry, event: request, ...fixed } = known;
  const { acceptedAt: at, runAt: next } = fixed;
  const accepted: TimelineEntry = { at, event: 'accepted', ...(next !== undefined && { next }) };
  const record: DurableRecord = {
    id,
    functionName,
    ...fixed,
    state: state as DurableRecord['state'],
    attempts: Number(hash['attempts'] ?? 0),
    crashes: Number(hash['crashes'] ?? 0),
    timeline: [accepted, ...timeline.map((entry) => JSON.parse(entry) as TimelineEntry)],
    request,
    ...texts(hash, ['concurrencyKey']),
    ...numbers(hash, ['startedAt', 'finishedAt']),
    ...documents(hash, ['result', 'outcome', 'receipt']),
  };
  return { record, retry };
}

export const toRecord = (...read: Parameters<typeof readRecord>): DurableRecord | undefined =>
  readRecord(...read)?.record;

type Read = Partial<DurableRecord>;

const pick = (hash: Record<string, string>, names: string[], read: (value: string) => unknown): Read =>
  Object.fromEntries(names.flatMap((name) => (hash[name] === undefined ? [] : [[name, read(hash[name])]])));
const texts = (hash: Record<string, string>, names: string[]) => pick(hash, names, (value) => value);
const numbers = (hash: Record<string, string>, names: string[]) => pick(hash, names, Number);
const documents = (hash: Record<string, string>, names: string[]) => pick(hash, names, (value) => JSON.parse(value));
