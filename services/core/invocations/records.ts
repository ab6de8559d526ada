/** What became of each call: written behind the answer, kept for a day and the newest so many of a function. */
import type { Redis } from 'ioredis';
import { WaferError } from '../errors.ts';
import { invocationIdPrefix, isInvocationId } from '../ids.ts';
import type { Log } from '../log.ts';
import { withStore } from '../store/errors.ts';
import { DEFAULT_NAMESPACE, type Keys, keysOf } from '../store/keys.ts';
import { recordScript, startsScript } from '../store/scripts/invocations.ts';
import { runScript } from '../store/scripts/script.ts';
import { createBatcher } from './batcher.ts';
import { cutText } from './cut-text.ts';
import type { InvocationRecord, Outcome } from './types.ts';

/** Against a flood of calls, and a guest that fails with a huge message. */
const LIMITS = {
  flushMs: 10,
  maxBatchItems: 500,
  maxBatchBytes: 1024 * 1024,
  maxPendingItems: 20_000,
  maxPendingBytes: 32 * 1024 * 1024,
  messageBytes: 4096,
  stackBytes: 16_384,
};

const STARTS_KEPT = 100;
const STARTS_SECONDS = 7 * 86_400;

const PAGE_MAX = 1000;
/** Records looked at for one page; a rare outcome gives short pages with a cursor instead of a long wait. */
const SCAN_MAX = 5000;
const SCAN_CHUNK = 500;

export interface InvocationQuery {
  functionName?: string;
  outcome?: Outcome['kind'];
  /** 1 to 1000. */
  limit: number;
  /** From the page before. */
  cursor?: string;
}

export interface InvocationPage {
  /** Newest first; may be fewer than `limit` although there is a cursor. */
  records: InvocationRecord[];
  /** `null` on the last page. */
  cursor: string | null;
}

export interface InvocationStore {
  /** Takes the record at once and writes it in its own time. Never throws. Its id must come from `newInvocationId`. */
  record(record: InvocationRecord): void;
  /** @throws WaferError `invocation_not_found | store_unavailable` */
  get(id: string): Promise<InvocationRecord>;
  /** @throws WaferError `invalid_request | store_unavailable` */
  list(query: InvocationQuery): Promise<InvocationPage>;
  /** The function's newest calls that waited for a start, newest first; at most 100, of the last week. @throws WaferError `store_unavailable` */
  starts(functionName: string): Promise<InvocationRecord[]>;
  /** For shutdown: resolves when all that was recorded is written or could not be. */
  flush(): Promise<void>;
}

export interface InvocationStoreOptions {
  log: Log;
  namespace?: string;
  keepMs?: number;
  keepPerFunction?: number;
  now?: () => number;
  /** Records that were lost because Redis was away too long. Must not throw. */
  onDrop?: (count: number) => void;
}

export function createInvocationStore(redis: Redis, options: InvocationStoreOptions): InvocationStore {
  const { log, namespace = DEFAULT_NAMESPACE, onDrop = () => {} } = options;
  const keys = keysOf(namespace);
  const batcher = createBatcher<StoredRecord>({
    ...LIMITS,
    sizeOf: ({ json }) => json.length + 100,
    write: (batch) => withStore('keep invocations', () => writeBatch(redis, keys, batch, options)),
    onDrop: (batch) => onDrop(batch.length),
    onError: (err) => log.warn({ err }, 'invocations could not be recorded yet'),
  });
  return {
    record: (record) => batcher.add(toStored(record)),
    flush: () => batcher.flush(),
    get: async (id) => {
      await batcher.flush();
      const read = () => (isInvocationId(id) ? redis.get(keys.invocation(id)) : Promise.resolve(null));
      const json = await withStore(`read invocation ${id.slice(0, 40)}`, read);
      if (json === null) throw invocationNotFound(id);
      return parseRecord(json);
    },
    starts: async (functionName) => {
      await batcher.flush();
      return await withStore(`read the starts of ${functionName}`, () => readStarts(redis, keys, functionName));
    },
    list: async (query) => {
      const checked = checkQuery(query);
      await batcher.flush();
      return await withStore('list invocations', () => readPage(redis, keys, checked));
    },
  };
}

interface StoredRecord {
  id: string;
  functionName: string;
  json: string;
  waitedForStart: boolean;
}

function toStored(record: InvocationRecord): StoredRecord {
  const { id, functionName, outcome, receipt } = record;
  const json = JSON.stringify({ ...record, outcome: shorten(outcome) });
  return { id, functionName, json, waitedForStart: receipt !== null && receipt.start !== 'warm' };
}

function shorten(outcome: Outcome): Outcome {
  if (outcome.kind === 'ok') return outcome;
  const { message, stack } = outcome;
  return {
    ...outcome,
    message: cutText(message, LIMITS.messageBytes),
    ...(stack !== undefined && { stack: cutText(stack, LIMITS.stackBytes) }),
  };
}

async function writeBatch(redis: Redis, keys: Keys, batch: StoredRecord[], options: InvocationStoreOptions) {
  const { keepMs = 86_400_000, keepPerFunction = 1000, now = Date.now } = options;
  const names = [...new Set(batch.map(({ functionName }) => functionName))];
  const positions = new Map(names.map((name, index) => [name, index + 2]));
  const cut = invocationIdPrefix(now() - keepMs);
  const lines = batch.flatMap(({ id, functionName, json }) => [id, positions.get(functionName) ?? 0, json]);
  const settings = [keys.invocationPrefix, Math.ceil(keepMs / 1000), keepPerFunction, cut];
  await runScript(redis, recordScript, [keys.invocations, ...names.map(keys.invocationsOf)], [...settings, ...lines]);
  const starts = batch.filter(({ waitedForStart }) => waitedForStart);
  if (starts.length > 0) await writeStarts(redis, keys, starts);
}

/** Behind the records: a batch that is sent again may be twice in the list, and is read once. */
async function writeStarts(redis: Redis, keys: Keys, starts: StoredRecord[]): Promise<void> {
  const names = [...new Set(starts.map(({ functionName }) => functionName))];
  const lines = starts.flatMap(({ functionName, json }) => [names.indexOf(functionName) + 1, json]);
  await runScript(redis, startsScript, names.map(keys.starts), [STARTS_KEPT, STARTS_SECONDS, ...lines]);
}

async function readStarts(redis: Redis, keys: Keys, functionName: string): Promise<InvocationRecord[]> {
  const found = (await redis.lrange(keys.starts(functionName), 0, -1)).map(parseRecord);
  return [...new Map(found.map((record) => [record.id, record])).values()];
}

function checkQuery(query: InvocationQuery): InvocationQuery {
  if (query.cursor !== undefined && !isInvocationId(query.cursor)) {
    throw new WaferError('invalid_request', 'cursor: is not from a page of invocations.', {
      details: { path: '/cursor' },
    });
  }
  return { ...query, limit: Math.min(Math.max(1, Math.floor(query.limit)), PAGE_MAX) };
}

async function readPage(redis: Redis, keys: Keys, query: InvocationQuery): Promise<InvocationPage> {
  const { functionName, outcome, limit } = query;
  const index = functionName === undefined ? keys.invocations : keys.invocationsOf(functionName);
  const records: InvocationRecord[] = [];
  let cursor = query.cursor ?? null;
  for (let scanned = 0; scanned < SCAN_MAX; scanned += SCAN_CHUNK) {
    const count = outcome === undefined ? limit - records.length : SCAN_CHUNK;
    const ids = await idsBefore(redis, index, cursor, count);
    for (const record of await readRecords(redis, keys, ids)) {
      if (record !== null && (outcome === undefined || record.outcome.kind === outcome)) records.push(record);
      if (records.length === limit) return { records, cursor: record?.id ?? null };
    }
    if (ids.length < count) return { records, cursor: null };
    cursor = ids.at(-1) ?? null;
  }
  return { records, cursor };
}

function idsBefore(redis: Redis, index: string, cursor: string | null, count: number): Promise<string[]> {
  const from = cursor === null ? '+' : `(${cursor}`;
  return redis.zrange(index, from, '-', 'BYLEX', 'REV', 'LIMIT', 0, count);
}

/** `null` for one that has expired since its index was read. */
async function readRecords(redis: Redis, keys: Keys, ids: string[]): Promise<(InvocationRecord | null)[]> {
  if (ids.length === 0) return [];
  const found = await redis.mget(ids.map(keys.invocation));
  return found.map((json) => (json === null ? null : parseRecord(json)));
}

const parseRecord = (json: string) => JSON.parse(json) as InvocationRecord;

export function invocationNotFound(id: string): WaferError {
  return new WaferError('invocation_not_found', `There is no invocation "${id.slice(0, 80)}".`, {
    hint: 'Records are kept for a day, and the newest 1,000 of a function; of accepted calls as WAFER_KEEP_RECORDS_MS and WAFER_KEEP_RECORDS say.',
    details: { id: id.slice(0, 80) },
  });
}
