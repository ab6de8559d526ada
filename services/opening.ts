/** What `wafer up` and `wafer worker` open alike. `opened` gets what undoes each step. */
import { chmod, mkdir, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SandboxError } from '../runtime/sandbox/index.ts';
import { type Config, dataPaths } from './core/config.ts';
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

export async function makeDataDir(dir: string): Promise<void> {
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
  opened: (() => Promise<unknown>)[],
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
  opened.push(() => Promise.all([logs.flush(), egressLog.flush(), invocations.flush()]));
  return { telemetry, functions: withRoutes(createFunctionStore(redis)), logs, egressLog, invocations };
}

export async function openRedis(
  config: Config,
  log: Log,
  opened: (() => Promise<unknown>)[],
): Promise<RedisConnection> {
  if (config.redisUrl !== null) {
    const connection = await connectRedis({ address: { url: config.redisUrl }, log });
    opened.push(() => connection.close());
    return connection;
  }
  const server = await startEmbeddedRedis({ directory: dataPaths(config.dataDir).redis, log });
  opened.push(() => server.close());
  const connection = await connectRedis({ address: { socketPath: server.socketPath }, log });
  opened.push(() => connection.close());
  return connection;
}

/** A socket address holds 107 bytes; with a long home path the socket moves to a private temporary directory. */
export async function makeRunDir(preferred: string): Promise<string> {
  if (!fitsSocketAddress(join(preferred, 'host.sock'))) return mkdtemp(join(tmpdir(), 'wafer-'));
  await mkdir(preferred, { recursive: true, mode: 0o700 });
  return preferred;
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
