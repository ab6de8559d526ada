/** What `wafer up` and `wafer worker` open alike. The closer gets what undoes each step. */
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SandboxError } from '../runtime/sandbox/index.ts';
import type { Closer } from './closer.ts';
import { type Config, dataPaths } from './core/config.ts';
import { lockDataDir as takeLock } from './core/data-lock.ts';
import { createEgressLog } from './core/egress/log.ts';
import { isErrno, WaferError } from './core/errors.ts';
import { createFunctionStore } from './core/functions/registry.ts';
import { withRoutes } from './core/functions/routes.ts';
import { createLogStore } from './core/invocations/logs.ts';
import { createInvocationStore } from './core/invocations/records.ts';
import type { Log } from './core/log.ts';
import { connectRedis, type RedisConnection } from './core/store/connect.ts';
import { startEmbeddedRedis } from './core/store/embedded-redis.ts';
import { fitsSocketAddress } from './core/store/socket-path.ts';
import { createTelemetry } from './core/telemetry.ts';

export function refuseRoot(): void {
  if (process.getuid?.() !== 0) return;
  throw new WaferError('running_as_root', 'The platform does not run as root, and needs no root.', {
    hint: '`npm start` as root makes the user "wafer" and starts the platform as that user.',
  });
}

/** Makes the data directory this process's own. `check`: before the lock is taken. */
export async function lockDataDir({ dataDir }: Config, closer: Closer, check = async () => {}): Promise<void> {
  await makeDataDir(dataDir);
  await check();
  const lock = await takeLock(dataPaths(dataDir).lock);
  closer.onClose(() => lock.release());
}

async function makeDataDir(dir: string): Promise<void> {
  try {
    await mkdir(dir, { recursive: true, mode: 0o700 });
    await chmod(dir, 0o700);
  } catch (cause) {
    if (isErrno(cause, 'ENOSPC', 'EDQUOT')) throw cause;
    throw new WaferError('usage', `The data directory ${dir} can not be used: ${(cause as Error).message}`, {
      cause,
      hint: 'Set WAFER_DATA to a directory of this user.',
    });
  }
}

const MIB = 1024 * 1024;
/** About as many as make one MiB of short lines. */
const LINES_PER_MIB = 1_250;

export function openStores(
  { redis }: RedisConnection,
  log: Log,
  closer: Closer,
  { logKeepMs: keepMs, logMb }: Pick<Config, 'logKeepMs' | 'logMb'>,
) {
  const telemetry = createTelemetry();
  const logs = createLogStore(redis, {
    log,
    limits: { keepMs, bytesPerFunction: logMb * MIB, linesPerFunction: logMb * LINES_PER_MIB },
    onDrop: (count) => telemetry.lost('log_lines', count),
  });
  const egressLog = createEgressLog(redis, { log, onDrop: (count) => telemetry.lost('egress_entries', count) });
  const onDrop = (count: number) => telemetry.lost('invocation_records', count);
  const invocations = createInvocationStore(redis, { log, onDrop });
  // Flushed after the worker has closed: calls that it cuts leave records and lines too.
  closer.onClose(() => Promise.all([logs.flush(), egressLog.flush(), invocations.flush()]));
  return { telemetry, functions: withRoutes(createFunctionStore(redis)), logs, egressLog, invocations };
}

export async function openRedis(config: Config, log: Log, closer: Closer): Promise<RedisConnection> {
  if (config.redisUrl !== null) return closer.keep(await connectRedis({ address: { url: config.redisUrl }, log }));
  const server = closer.keep(await startEmbeddedRedis({ directory: dataPaths(config.dataDir).redis, log }));
  return closer.keep(await connectRedis({ address: { socketPath: server.socketPath }, log }));
}

/** A socket address holds 107 bytes; with a long home path the socket moves to a private temporary directory. */
export async function openRunDir({ dataDir }: Config, closer: Closer): Promise<string> {
  const preferred = dataPaths(dataDir).run;
  if (fitsSocketAddress(join(preferred, 'host.sock'))) {
    // The lock is in it, so it stays.
    await mkdir(preferred, { recursive: true, mode: 0o700 });
    return preferred;
  }
  const dir = await mkdtemp(join(tmpdir(), 'wafer-'));
  closer.onClose(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

/** One clear line with the fix for what stops a start. */
export function explainStart(error: unknown): unknown {
  if (isErrno(error, 'ENOSPC', 'EDQUOT')) {
    return new WaferError('disk_full', `There is no room on the disk: ${(error as Error).message}`, {
      cause: error,
      hint: 'Free some space, or set WAFER_DATA to a directory on another disk.',
    });
  }
  if (!(error instanceof SandboxError)) return error;
  const namespaces = /userns|namespace|unshare|uid_map|newuidmap/i.test(`${error.step} ${error.message}`);
  return new WaferError(
    namespaces ? 'userns_unavailable' : 'engine_failed',
    `The sandbox engine can not start: ${error.message}`,
    {
      cause: error,
      hint: '`wafer doctor` says what this machine lacks and how to fix it.',
    },
  );
}
