/**
 * Every setting of the platform, once: name, default, parser, doc. `wafer config`
 * and the docs print this table. Only the environment sets them.
 */
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { PUBLIC } from './functions/egress.ts';
import {
  callbackHost,
  type Env,
  egressEntry,
  integer,
  limit,
  listOf,
  oneOf,
  registryName,
  type Setting,
  setting,
} from './setting.ts';

const DAY_MS = 86_400_000;
const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
const KEEP_ALIVE = ['fixed', 'learned'] as const;
const ON_OFF = ['off', 'on'] as const;
const LIMIT_MODES = ['auto', 'v2', 'v1', 'none'] as const;

export const SETTINGS = {
  host: setting('WAFER_HOST', '127.0.0.1', 'Address the API listens on', (value) => value || '127.0.0.1'),
  port: setting(
    'WAFER_PORT',
    '7070',
    'Port the API listens on; 0 takes a free one',
    integer('WAFER_PORT', 0, 65_535, 7070),
  ),
  dataDir: setting('WAFER_DATA', '~/.local/share/wafer', 'Data directory, mode 0700', (value) =>
    resolve(value || join(homedir(), '.local/share/wafer')),
  ),
  redisUrl: setting(
    'WAFER_REDIS_URL',
    '(none: embedded)',
    'Redis to use instead of the embedded one',
    (value) => value || null,
  ),
  memoryMb: setting(
    'WAFER_MEMORY_MB',
    '(half of the machine)',
    'Memory that all sandboxes together may use',
    (value) => (value ? integer('WAFER_MEMORY_MB', 64, 16_777_216, 0)(value) : null),
  ),
  namespaceMemoryMb: setting(
    'WAFER_NAMESPACE_MEMORY_MB',
    '0',
    'Sum of memoryMb of all instances of functions, on this worker; calls wait for room, then fail. 0: no limit but WAFER_MEMORY_MB',
    limit('WAFER_NAMESPACE_MEMORY_MB', 32, 16_777_216),
  ),
  namespaceCpu: setting(
    'WAFER_NAMESPACE_CPU',
    '0',
    'Sum of cpu of all instances of functions, in cores, on this worker; one without cpu then has 1. 0: no limit',
    limit('WAFER_NAMESPACE_CPU', 0.05, 4_096, 3),
  ),
  namespacePids: setting(
    'WAFER_NAMESPACE_PIDS',
    '0',
    'Sum of pids of all instances of functions, on this worker. 0: no limit',
    limit('WAFER_NAMESPACE_PIDS', 8, 4_194_304),
  ),
  namespaceVolumesMb: setting(
    'WAFER_NAMESPACE_VOLUMES_MB',
    '0',
    'What all volumes of functions and their snapshots may take together, in MiB; what is more is volume_full. 0: no limit',
    limit('WAFER_NAMESPACE_VOLUMES_MB', 1, 1_000_000_000),
  ),
  logLevel: setting(
    'WAFER_LOG_LEVEL',
    'info',
    `Log level: ${LOG_LEVELS.join(', ')}`,
    oneOf('WAFER_LOG_LEVEL', LOG_LEVELS, 'info'),
  ),
  limits: setting(
    'WAFER_LIMITS',
    'auto',
    `How limits are enforced: ${LIMIT_MODES.join(', ')}`,
    oneOf('WAFER_LIMITS', LIMIT_MODES, 'auto'),
  ),
  idleMs: setting(
    'WAFER_IDLE_MS',
    '60000',
    'An instance without calls ends after this time, unless WAFER_KEEP_ALIVE has learned another',
    integer('WAFER_IDLE_MS', 0, 86_400_000, 60_000),
  ),
  drainMs: setting(
    'WAFER_DRAIN_MS',
    '30000',
    'How long calls that run may go on when the platform is stopped',
    integer('WAFER_DRAIN_MS', 0, 3_600_000, 30_000),
  ),
  keepAlive: setting(
    'WAFER_KEEP_ALIVE',
    'learned',
    'How long instances without calls are kept: fixed, or learned from the calls of each version',
    oneOf('WAFER_KEEP_ALIVE', KEEP_ALIVE, 'learned'),
  ),
  blanks: setting(
    'WAFER_BLANKS',
    '2',
    'Sandboxes with a booted runtime that are at least kept ready per base image in use, for first calls; 0: none ever',
    integer('WAFER_BLANKS', 0, 1_000, 2),
  ),
  asyncConcurrency: setting(
    'WAFER_ASYNC_CONCURRENCY',
    '16',
    'Accepted calls (async, schedules, webhooks) that this worker runs at once; 0: it takes none',
    integer('WAFER_ASYNC_CONCURRENCY', 0, 1_000, 16),
  ),
  pythonZygote: setting(
    'WAFER_PYTHON_ZYGOTE',
    'off',
    'Programs of Python are forked from one that has booted and imported, instead of booting each (docs/zygotes.md): off or on',
    oneOf('WAFER_PYTHON_ZYGOTE', ON_OFF, 'off'),
  ),
  maxPending: setting(
    'WAFER_MAX_PENDING',
    '100000',
    'Accepted calls of one function that have not ended; more are refused. queue.maxPending in wafer.json wins',
    integer('WAFER_MAX_PENDING', 1, 10_000_000, 100_000),
  ),
  maxEventKb: setting(
    'WAFER_MAX_EVENT_KB',
    '6144',
    'Largest event of a call, in KiB',
    integer('WAFER_MAX_EVENT_KB', 1, 6_144, 6_144),
  ),
  idempotencyMs: setting(
    'WAFER_IDEMPOTENCY_MS',
    '86400000',
    'How long an Idempotency-Key names the call that it was accepted for',
    integer('WAFER_IDEMPOTENCY_MS', 1_000, 31 * DAY_MS, DAY_MS),
  ),
  keepRecordsMs: setting(
    'WAFER_KEEP_RECORDS_MS',
    '86400000',
    'How long the record of an accepted call is kept after its end, with its bodies; callbacks are tried no longer',
    integer('WAFER_KEEP_RECORDS_MS', 60_000, 366 * DAY_MS, DAY_MS),
  ),
  keepRecords: setting(
    'WAFER_KEEP_RECORDS',
    '1000',
    'Records of accepted calls that are kept of one function; the oldest that have ended go first',
    integer('WAFER_KEEP_RECORDS', 10, 1_000_000, 1_000),
  ),
  logKeepMs: setting(
    'WAFER_LOG_KEEP_MS',
    '604800000',
    'How long lines that functions print are kept',
    integer('WAFER_LOG_KEEP_MS', 60_000, 366 * DAY_MS, 7 * DAY_MS),
  ),
  logMb: setting(
    'WAFER_LOG_MB',
    '8',
    'What the log of one function may take in Redis, in MiB; the oldest lines go first',
    integer('WAFER_LOG_MB', 1, 1_024, 8),
  ),
  logInvocationKb: setting(
    'WAFER_LOG_INVOCATION_KB',
    '4096',
    'Output that is kept of one invocation, in KiB; more is dropped behind a mark',
    integer('WAFER_LOG_INVOCATION_KB', 1, 1_048_576, 4_096),
  ),
  maxChain: setting(
    'WAFER_MAX_CHAIN',
    '16',
    'Invocations that may follow one another by onSuccess and onFailure: more is taken for a loop',
    integer('WAFER_MAX_CHAIN', 1, 1_000, 16),
  ),
  callbackHosts: setting(
    'WAFER_CALLBACK_HOSTS',
    '(none)',
    'Where callbacks may go although it is not public: host, host:port or network/bits, with commas. Whoever may deploy or call can then reach them',
    (value): readonly string[] => listOf(value).map((one) => callbackHost('WAFER_CALLBACK_HOSTS', one)),
  ),
  egress: setting(
    'WAFER_EGRESS',
    'public',
    'Ceiling of what functions may connect to, whatever their wafer.json says: none, public, or a list like public,db.internal:5432,10.1.0.0/16:443. A name without a star may lead to private addresses',
    (value): readonly string[] =>
      value === 'none' ? [] : listOf(value || PUBLIC).map((one) => egressEntry('WAFER_EGRESS', one)),
  ),
  egressConnections: setting(
    'WAFER_EGRESS_CONNECTIONS',
    '1024',
    'Connections that all functions together may have open to the outside, on this worker',
    integer('WAFER_EGRESS_CONNECTIONS', 1, 100_000, 1024),
  ),
  egressMbPerHour: setting(
    'WAFER_EGRESS_MB_PER_HOUR',
    '0',
    'MiB that all functions together may send and receive in an hour, on this worker; 0: no limit',
    integer('WAFER_EGRESS_MB_PER_HOUR', 0, 1_000_000_000, 0),
  ),
  secretsKey: setting(
    'WAFER_SECRETS_KEY',
    '(secrets.key in the data directory)',
    'What secrets are encrypted with: 32 bytes as base64 or hexadecimal; without it the first start makes one',
    // The key itself is in no configuration, so that none that is shown or logged has it.
    (value): 'given' | 'file' => (value ? 'given' : 'file'),
  ),
  defaultRegistry: setting(
    'WAFER_DEFAULT_REGISTRY',
    '(none: references name theirs)',
    'Registry of references that name none, as host or host:port',
    (value) => (value ? registryName('WAFER_DEFAULT_REGISTRY', value) : null),
  ),
  insecureRegistries: setting(
    'WAFER_INSECURE_REGISTRIES',
    '(none)',
    'Registries that are spoken to over plain HTTP, as host:port,host:port',
    (value): readonly string[] => listOf(value).map((one) => registryName('WAFER_INSECURE_REGISTRIES', one)),
  ),
} as const satisfies Record<string, Setting<unknown>>;

export type Config = { readonly [K in keyof typeof SETTINGS]: ReturnType<(typeof SETTINGS)[K]['read']> };

/** @throws WaferError `usage`, naming the variable */
export function readConfig(env: Env = process.env): Config {
  const entries = Object.entries(SETTINGS).map(([key, one]) => [key, one.read(env[one.env], env)]);
  return Object.fromEntries(entries) as Config;
}

/** Where things lie below the data directory. */
export function dataPaths(dataDir: string) {
  return {
    store: join(dataDir, 'store'),
    layers: join(dataDir, 'store', 'layers'),
    work: join(dataDir, 'work'),
    volumes: join(dataDir, 'volumes'),
    volumeRecords: join(dataDir, 'volume-records'),
    containers: join(dataDir, 'containers'),
    bodies: join(dataDir, 'bodies'),
    run: join(dataDir, 'run'),
    redis: join(dataDir, 'redis'),
    cache: join(dataDir, 'cache'),
    adminKey: join(dataDir, 'admin.key'),
    secretsKey: join(dataDir, 'secrets.key'),
    registries: join(dataDir, 'registries.json'),
    loads: join(dataDir, 'cache', 'loads'),
    lock: join(dataDir, 'run', 'wafer.lock'),
  };
}

/** Settings of a client of the API. */
export function readClientConfig(env: Env = process.env): { url: string; key: string | null; dataDir: string } {
  return {
    url: (env['WAFER_URL'] || 'http://127.0.0.1:7070').replace(/\/+$/, ''),
    key: env['WAFER_KEY'] || null,
    dataDir: SETTINGS.dataDir.read(env['WAFER_DATA'], env),
  };
}
