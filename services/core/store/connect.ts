import { Redis, type RedisOptions } from 'ioredis';
import { coerceError, WaferError } from '../errors.ts';
import type { Log } from '../log.ts';
import { toStoreError, withStore } from './errors.ts';
import { checkServer, type ServerFacts } from './server-check.ts';
import { openSocketPath } from './socket-path.ts';

export type RedisAddress = { socketPath: string } | { url: string };

export interface ConnectOptions {
  address: RedisAddress;
  log: Log;
  /** How long the first connection may take, loading of data included (default 30 s). */
  connectMs?: number;
  /** A command without an answer fails after this time (default 10 s). */
  commandMs?: number;
}

export interface RedisConnection {
  /**
   * For requests: a command fails at once when there is no connection, is never sent
   * a second time, and reconnecting goes on by itself.
   */
  redis: Redis;
  server: ServerFacts;
  /** For messages and `doctor`; without password. */
  where: string;
  close(): Promise<void>;
}

const RETRY_MAX_MS = 1000;
/** Retrying does not help against these. */
const HOPELESS = /^(WRONGPASS|NOAUTH|NOPERM|ERR invalid password|ERR AUTH|ERR DB index)/;

/** Connects and checks the server. @throws WaferError `store_unavailable | redis_unsafe | usage` */
export async function connectRedis(options: ConnectOptions): Promise<RedisConnection> {
  const { address, log } = options;
  const where = describeAddress(address);
  const socket = 'socketPath' in address ? await withStore('be found', () => openSocketPath(address.socketPath)) : null;
  const target: RedisOptions = socket === null ? urlOptions(address) : { path: socket.path };
  const redis = new Redis({ ...target, ...requestOptions(options.commandMs ?? 10_000), replyMapping: 'legacy' });
  const close = async () => {
    redis.disconnect();
    await socket?.close();
  };
  redis.on('error', reportChanges(redis, log, where));
  try {
    await ready(redis, where, options.connectMs ?? 30_000);
    return { redis, server: await checkServer(redis, where), where, close };
  } catch (error) {
    await close();
    throw toStoreError(error, `be checked at ${where}`);
  }
}

/** A second connection for commands that block; never for requests. It is not connected yet. */
export function blockingConnection(redis: Redis): Redis {
  const copy = redis.duplicate({ lazyConnect: true, commandTimeout: undefined, retryStrategy: null });
  // Its errors come to whoever waits for its commands.
  copy.on('error', () => {});
  return copy;
}

function requestOptions(commandMs: number): RedisOptions {
  return {
    lazyConnect: true,
    enableOfflineQueue: false,
    // A command whose answer was lost may have been carried out: only its caller knows if it may run twice.
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    commandTimeout: commandMs,
    retryStrategy: (times) => Math.min(20 * 2 ** Math.min(times, 10), RETRY_MAX_MS),
  };
}

function urlOptions(address: RedisAddress): RedisOptions {
  const text = 'url' in address ? address.url : '';
  const url = URL.canParse(text) ? new URL(text) : null;
  const secure = url?.protocol === 'rediss:';
  if (url === null || (!secure && url.protocol !== 'redis:')) {
    throw new WaferError('usage', 'WAFER_REDIS_URL is not an address like redis://user:password@host:6379/0.', {
      hint: 'Use redis:// or, with TLS, rediss://.',
    });
  }
  const db = Number(url.pathname.slice(1) || '0');
  if (!Number.isInteger(db) || db < 0)
    throw new WaferError('usage', `WAFER_REDIS_URL: ${url.pathname} is no database.`);
  return {
    host: url.hostname.replace(/^\[|\]$/g, '') || '127.0.0.1',
    port: Number(url.port || '6379'),
    db,
    ...(url.username && { username: decodeURIComponent(url.username) }),
    ...(url.password && { password: decodeURIComponent(url.password) }),
    ...(secure && { tls: {} }),
  };
}

export function describeAddress(address: RedisAddress): string {
  if ('socketPath' in address) return address.socketPath;
  if (!URL.canParse(address.url)) return 'WAFER_REDIS_URL';
  const { protocol, host, pathname } = new URL(address.url);
  return `${protocol}//${host}${pathname === '/' ? '' : pathname}`;
}

/** Rejects after `patienceMs` with the last reason, or at once when trying again can not help. */
function ready(redis: Redis, where: string, patienceMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let last: Error | null = null;
    const finish = (error?: Error) => {
      clearTimeout(timer);
      redis.off('ready', onReady);
      redis.off('error', onError);
      if (error === undefined) resolve();
      else reject(error);
    };
    const giveUp = (cause: Error | null) => {
      const why = cause?.message ?? `no answer within ${patienceMs / 1000} s`;
      const hint = 'Is it running, and is WAFER_REDIS_URL right?';
      finish(new WaferError('store_unavailable', `Redis at ${where} can not be reached: ${why}`, { cause, hint }));
    };
    const onReady = () => finish();
    const onError = (error: Error) => {
      last = error;
      if (HOPELESS.test(error.message)) giveUp(error);
    };
    const timer = setTimeout(() => giveUp(last), patienceMs);
    redis.on('ready', onReady);
    redis.on('error', onError);
    // Its rejection is one failed try; the client goes on trying, and the events above tell.
    redis.connect().catch((error: unknown) => onError(coerceError(error)));
  });
}

/** One log line when the connection is lost and one when it is back, not one for each try. */
function reportChanges(redis: Redis, log: Log, where: string) {
  let isLost = false;
  redis.on('ready', () => {
    if (isLost) log.info({ where }, 'Redis is back');
    isLost = false;
  });
  return (err: Error) => {
    if (isLost) log.debug({ where, err }, 'Redis is still away');
    else log.warn({ where, reason: err.message }, 'Redis can not be reached');
    isLost = true;
  };
}
