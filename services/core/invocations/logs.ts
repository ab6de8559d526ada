/** Output of functions: one bounded Redis stream each. */
import type { Redis } from 'ioredis';
import { WaferError } from '../errors.ts';
import { invocationTime } from '../ids.ts';
import type { Log } from '../log.ts';
import { withStore } from '../store/errors.ts';
import { followStream, lastStreamId, readStream } from '../store/follow-stream.ts';
import { DEFAULT_NAMESPACE, type Keys, keysOf } from '../store/keys.ts';
import { fromEntry, type StoredLogLine } from './log-entry.ts';
import { createLogWriter, LOG_LIMITS, type LogLimits } from './log-writer.ts';
import { invocationNotFound } from './records.ts';
import { isAtLeast, type LogLevel } from './structured-line.ts';
import type { InvocationRecord, LogLine, LogSink } from './types.ts';

export type { StoredLogLine } from './log-entry.ts';

export interface LogQuery {
  /** May be left out when `invocationId` is of a call that has ended. */
  functionName?: string;
  invocationId?: string;
  /** Epoch ms; lines before it are left out. */
  since?: number;
  /** Lines that contain the text, in upper or lower case. */
  grep?: string;
  stream?: LogLine['stream'];
  /** Lines that are JSON and say that they are of this level or above. */
  level?: LogLevel;
  /** The newest so many lines; all when left out. */
  limit?: number;
  /** Only lines behind this cursor. */
  after?: string;
}

export interface LogStore extends LogSink {
  /** Oldest first, with every line that this process wrote before. @throws WaferError `invocation_not_found | invalid_request | store_unavailable` */
  read(query: LogQuery): Promise<StoredLogLine[]>;
  /**
   * What `read` gives, then every new line without a gap, until `signal` aborts (which ends it
   * without an error). Outlives a restart of Redis. Has a connection of its own.
   */
  follow(query: LogQuery, signal: AbortSignal): AsyncGenerator<StoredLogLine, void, undefined>;
  /** For shutdown: resolves when all that was written is stored or could not be. */
  flush(): Promise<void>;
}

export interface LogStoreOptions {
  log: Log;
  namespace?: string;
  limits?: Partial<LogLimits>;
  /** Lines that were lost. Must not throw. */
  onDrop?: (count: number) => void;
}

/** Stream ids have the time of Redis, lines and invocations that of their machine. */
const CLOCK_SLACK_MS = 60_000;
const CURSOR = /^\d{1,15}-\d{1,15}$/;

/** A query whose function is known. */
interface Target {
  functionName: string;
  key: string;
  /** First stream id to look at, exclusive with `(`. */
  from: string;
  wants: (line: StoredLogLine) => boolean;
}

export function createLogStore(redis: Redis, options: LogStoreOptions): LogStore {
  const { log, namespace = DEFAULT_NAMESPACE, onDrop = () => {} } = options;
  const keys = keysOf(namespace);
  const limits = { ...LOG_LIMITS, ...options.limits };
  const writer = createLogWriter({ redis, keys, log, limits, onDrop });
  const prepare = async (query: LogQuery) => {
    await writer.flush();
    return await withStore('read logs', () => toTarget(redis, keys, query, limits.keepMs));
  };
  return {
    write: writer.write,
    flush: writer.flush,
    read: async (query) => {
      const target = await prepare(query);
      return await withStore('read logs', () => readLines(redis, target, '+', query.limit));
    },
    async *follow(query, signal) {
      if (signal.aborted) return;
      const target = await prepare(query);
      const last = await withStore('read logs', () => lastStreamId(redis, target.key));
      yield* await withStore('read logs', () => readLines(redis, target, last, query.limit));
      for await (const entry of followStream(redis, target.key, last, signal)) {
        const line = fromEntry(target.functionName, entry);
        if (target.wants(line)) yield line;
      }
    },
  };
}

async function toTarget(redis: Redis, keys: Keys, query: LogQuery, keepMs: number): Promise<Target> {
  const { invocationId, since, after } = query;
  const matches = contentFilter(query);
  if (after !== undefined && !CURSOR.test(after)) {
    throw new WaferError('invalid_request', 'after: is not the cursor of a log line.', { details: { path: '/after' } });
  }
  const functionName = query.functionName ?? (await functionOf(redis, keys, invocationId ?? ''));
  const start = Math.max(since ?? 0, invocationTime(invocationId ?? '') ?? 0, Date.now() - keepMs) - CLOCK_SLACK_MS;
  return {
    functionName,
    key: keys.logs(functionName),
    from: after === undefined ? String(Math.max(0, Math.floor(start))) : `(${after}`,
    wants: (line) =>
      (invocationId === undefined || line.invocationId === invocationId) &&
      (since === undefined || line.time >= since) &&
      matches(line),
  };
}

/** A plain text, no pattern: whoever asks can not make the search take long. */
function contentFilter({ grep, stream, level }: LogQuery): (line: StoredLogLine) => boolean {
  const wanted = grep?.toLowerCase();
  return (line) =>
    (wanted === undefined || line.text.toLowerCase().includes(wanted)) &&
    (stream === undefined || line.stream === stream) &&
    (level === undefined || isAtLeast(line.level, level));
}

async function functionOf(redis: Redis, keys: Keys, invocationId: string): Promise<string> {
  const json = invocationTime(invocationId) === null ? null : await redis.get(keys.invocation(invocationId));
  if (json === null) throw invocationNotFound(invocationId);
  return (JSON.parse(json) as InvocationRecord).functionName;
}

/** Up to and with the entry `end`. With `limit` from the back, so that a few lines of many cost little. */
async function readLines(redis: Redis, target: Target, end: string, limit?: number): Promise<StoredLogLine[]> {
  const found: StoredLogLine[] = [];
  for await (const entry of readStream(redis, target.key, target.from, end)) {
    const line = fromEntry(target.functionName, entry);
    if (target.wants(line)) found.push(line);
    if (found.length === limit) break;
  }
  return found.reverse();
}
