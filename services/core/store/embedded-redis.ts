/** The private Redis of one data directory: started, kept running, and ended by us. */
import { chmod, mkdir, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isErrno, WaferError } from '../errors.ts';
import type { Log } from '../log.ts';
import { findProgram } from './find-program.ts';
import { ping } from './ping.ts';
import { type Programs, type RedisExit, type RedisProcess, SOCKET_NAME, startRedisProcess } from './redis-process.ts';
import { openSocketPath } from './socket-path.ts';

const ASK_EVERY_MS = 20;
const RESTART_FIRST_MS = 100;
const RESTART_MAX_MS = 5000;
const LOG_KEEP_BYTES = 8 * 1024 * 1024;

export interface EmbeddedRedisOptions {
  /** Made when missing; always mode 0700, since who can open the socket owns everything. */
  directory: string;
  log: Log;
  /** How long another server on the directory may take to end (default 10 s). */
  lockWaitMs?: number;
  /** How long it may stay silent after its start; loading data does not count (default 60 s). */
  silentMs?: number;
  /** How long it may take to end by itself on `close()` before SIGKILL (default 10 s). */
  stopMs?: number;
  /** Where to look for `redis-server` (default: the PATH of this process). */
  path?: string;
  signal?: AbortSignal;
}

export interface EmbeddedRedis {
  /** Absolute path of the socket; for `connectRedis`, which also copes with long ones. */
  socketPath: string;
  /** Of the server that runs now; a crashed one is started again. */
  pid(): number;
  /** Ends the server and waits for it. Idempotent. */
  close(): Promise<void>;
}

/**
 * Resolves when the server answers PING, however long it loads.
 * @throws WaferError `redis_missing | already_running | disk_full | store_unavailable`
 */
export async function startEmbeddedRedis(options: EmbeddedRedisOptions): Promise<EmbeddedRedis> {
  const { directory, log } = options;
  const programs = await findPrograms(options.path ?? process.env['PATH'] ?? '');
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await chmod(directory, 0o700);
  await setOldLogAside(directory);

  const closing = new AbortController();
  const start = (signal: AbortSignal) => startAndWait(programs, options, signal);
  let current = await start(options.signal ?? closing.signal);
  log.debug({ pid: current.pid, directory }, 'embedded Redis is up');

  const keepRunning = async () => {
    for (let wait = RESTART_FIRST_MS; !closing.signal.aborted; wait = Math.min(wait * 2, RESTART_MAX_MS)) {
      const { reason } = await current.exited;
      if (closing.signal.aborted) return;
      log.error({ reason }, 'embedded Redis ended unexpectedly; starting it again');
      try {
        current = await start(closing.signal);
        wait = RESTART_FIRST_MS;
      } catch (err) {
        if (closing.signal.aborted) return;
        log.error({ err }, 'embedded Redis could not be started again');
        await delay(wait, undefined, { signal: closing.signal }).catch(() => {});
      }
    }
  };
  const kept = keepRunning();

  return {
    socketPath: join(directory, SOCKET_NAME),
    pid: () => current.pid,
    close: async () => {
      closing.abort();
      await stop(current, options.stopMs ?? 10_000);
      await kept;
    },
  };
}

async function findPrograms(path: string): Promise<Programs> {
  return {
    redisServer: await findProgram('redis-server', 'redis-server', path),
    setpriv: await findProgram('setpriv', 'util-linux', path),
    flock: await findProgram('flock', 'util-linux', path),
    shell: '/bin/sh',
  };
}

/** On failure or abort the process is gone before this rejects. */
async function startAndWait(
  programs: Programs,
  { directory, lockWaitMs = 10_000, silentMs = 60_000 }: EmbeddedRedisOptions,
  signal: AbortSignal,
): Promise<RedisProcess> {
  const server = await startRedisProcess({ programs, directory, lockWaitMs });
  let ended: RedisExit | null = null;
  void server.exited.then((exit) => {
    ended = exit;
  });
  const socket = await openSocketPath(join(directory, SOCKET_NAME));
  try {
    let patience = Date.now() + lockWaitMs + silentMs;
    while (ended === null && !signal.aborted && Date.now() < patience) {
      const answer = await ping(socket.path);
      // One that is about to end may still answer on this path while ours waits for the lock.
      if (answer.state === 'ready' && answer.pid === server.pid) return server;
      if (answer.state === 'loading') patience = Date.now() + silentMs;
      await delay(ASK_EVERY_MS);
    }
  } finally {
    await socket.close();
  }
  if (ended === null) server.kill('SIGKILL');
  throw startFailure(directory, await server.exited, signal, ended === null);
}

function startFailure(directory: string, exit: RedisExit, signal: AbortSignal, weEndedIt: boolean): WaferError {
  if (signal.aborted) return new WaferError('shutting_down', 'The start of the embedded Redis was cancelled.');
  const why = weEndedIt ? 'it did not answer in time' : exit.reason;
  const message = `The embedded Redis in ${directory} did not start: ${why}.`;
  if (exit.kind === 'directory_in_use') {
    const hint = 'End the Wafer that started it, or set WAFER_DATA to another directory.';
    return new WaferError('already_running', message, { hint });
  }
  if (exit.kind === 'disk_full') {
    return new WaferError('disk_full', message, { hint: 'Free some space, or set WAFER_DATA to another disk.' });
  }
  return new WaferError('store_unavailable', message, {
    hint: `Its log is ${join(directory, 'redis.log')}; a damaged append-only file is repaired by redis-check-aof --fix.`,
  });
}

async function stop(server: RedisProcess, patienceMs: number): Promise<void> {
  server.kill('SIGTERM');
  const killTimer = setTimeout(() => server.kill('SIGKILL'), patienceMs);
  await server.exited;
  clearTimeout(killTimer);
}

async function setOldLogAside(directory: string): Promise<void> {
  const file = join(directory, 'redis.log');
  try {
    if ((await stat(file)).size > LOG_KEEP_BYTES) await rename(file, `${file}.1`);
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
}
