/** The hash of an invocation, as fields and as a record. */
import type { AcceptRequest, DurableRecord, StoredBody, TimelineEntry } from './types.ts';

/** Fields that `acceptScript` writes; what is undefined is left out. */
export function toFields(request: AcceptRequest, body: StoredBody, acceptedAt: number): string[] {
  const { limits, retry } = request;
  const fields: Record<string, string | number | undefined> = {
    functionName: request.functionName,
    version: request.version,
    trigger: request.trigger,
    origin: request.origin,
    depth: request.depth,
    acceptedAt,
    expiresAt: Math.max(acceptedAt, request.runAt ?? 0) + retry.maxAgeMs,
    runAt: request.runAt,
    priority: request.priority,
    request: JSON.stringify(body),
    retry: JSON.stringify(retry),
    concurrencyKey: request.concurrencyKey,
    callbackUrl: request.callbackUrl,
    mostAtOnce: limits.concurrency,
    mostPerKey: limits.concurrencyPerKey,
    rateEvery: limits.rate && limits.rate.periodMs / limits.rate.count,
    rateBurst: limits.rate?.burst,
    ...followersOf(request),
  };
  return Object.entries(fields).flatMap(([name, value]) => (value === undefined ? [] : [name, String(value)]));
}

/** `follow`: it goes into the outbox when it ends. */
function followersOf({ callbackUrl, followers: { onSuccess, onFailure } }: AcceptRequest) {
  const isFollowed = [callbackUrl, onSuccess, onFailure].some((one) => one !== undefined);
  return { onSuccess, onFailure, follow: isFollowed ? 1 : undefined };
}

/** Undefined when there is no such hash. */
export function toRecord(id: string, hash: Record<string, string>, timeline: string[]): DurableRecord | undefined {
  const { functionName, trigger, state, request } = hash;
  if (functionName === undefined || trigger === undefined || state === undefined || request === undefined)
    return undefined;
  return {
    id,
    functionName,
    version: Number(hash['version']),
    trigger: trigger as DurableRecord['trigger'],
    depth: Number(hash['depth']),
    state: state as DurableRecord['state'],
    acceptedAt: Number(hash['acceptedAt']),
    attempts: Number(hash['attempts']),
    crashes: Number(hash['crashes']),
    timeline: timeline.map((entry) => JSON.parse(entry) as TimelineEntry),
    request: JSON.parse(request) as StoredBody,
    ...texts(hash, ['origin', 'concurrencyKey', 'callbackUrl', 'onSuccess', 'onFailure']),
    ...numbers(hash, ['runAt', 'startedAt', 'finishedAt']),
    ...documents(hash, ['result', 'outcome', 'receipt']),
  };
}

type Read = Partial<DurableRecord>;

const pick = (hash: Record<string, string>, names: string[], read: (value: string) => unknown): Read =>
  Object.fromEntries(names.flatMap((name) => (hash[name] === undefined ? [] : [[name, read(hash[name])]])));
const texts = (hash: Record<string, string>, names: string[]) => pick(hash, names, (value) => value);
const numbers = (hash: Record<string, string>, names: string[]) => pick(hash, names, Number);
const documents = (hash: Record<string, string>, names: string[]) => pick(hash, names, (value) => JSON.parse(value));
