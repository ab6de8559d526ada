/**
 * One run of `redis-server` on one directory.
 *
 *   setpriv --pdeathsig KILL   dies with us, even when we get SIGKILL; loses nothing,
 *     sh                       since AOF `always` is on disk before an answer goes out
 *       flock                  the kernel's lock on the directory: held by the server
 *         redis-server         itself (and its rewrite child), gone when it is gone
 *
 * Each replaces itself with the next (exec), so the child's pid is the server's.
 * The shell refuses to go on when we died before the death signal was set. The kernel
 * means the thread that started it: call this from the main thread.
 * Every path is relative to the directory, so neither length nor odd characters matter.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFile, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { coerceError, WaferError } from '../errors.ts';

export const SOCKET_NAME = 'redis.sock';
const LOG_NAME = 'redis.log';
const PID_NAME = 'redis.pid';
const LOCK_NAME = 'redis.lock';
const LOCK_CONFLICT_EXIT = 75;
const FULL_DISK_BYTES = 64 * 1024;
const FULL_DISK_WORDS = /No space left on device|Disk quota exceeded|Short write while writing to the AOF/;

const EXEC_WITH_PARENT = 'test "$PPID" = "$1" || exit 1; shift; exec "$@"';

const SERVER_SETTINGS = {
  port: '0',
  unixsocket: SOCKET_NAME,
  unixsocketperm: '700',
  'protected-mode': 'yes',
  dir: './',
  appendonly: 'yes',
  appendfsync: 'always',
  'no-appendfsync-on-rewrite': 'no',
  'aof-load-truncated': 'yes',
  'maxmemory-policy': 'noeviction',
  save: '',
  daemonize: 'no',
  supervised: 'no',
  pidfile: PID_NAME,
  logfile: LOG_NAME,
};

export interface Programs {
  redisServer: string;
  setpriv: string;
  flock: string;
  shell: string;
}

/** Why a server is gone. */
export interface RedisExit {
  kind: 'ended' | 'directory_in_use' | 'disk_full';
  /** Goes on from "it did not start: ". */
  reason: string;
}

export interface RedisProcess {
  pid: number;
  /** Resolves when the process is gone. Never rejects. */
  exited: Promise<RedisExit>;
  kill(signal: NodeJS.Signals): void;
}

export interface StartOptions {
  programs: Programs;
  directory: string;
  /** How long to wait for another server on this directory to end. */
  lockWaitMs: number;
}

/** Resolves when the process exists, not when it answers. @throws WaferError `store_unavailable` */
export async function startRedisProcess({ programs, directory, lockWaitMs }: StartOptions): Promise<RedisProcess> {
  const settings = Object.entries(SERVER_SETTINGS).flatMap(([name, value]) => [`--${name}`, value]);
  const lock = ['-F', '-w', String(lockWaitMs / 1000), '-E', String(LOCK_CONFLICT_EXIT), LOCK_NAME];
  const argv = [
    ...['--pdeathsig', 'KILL', programs.shell, '-c', EXEC_WITH_PARENT, 'sh', String(process.pid)],
    ...[programs.flock, ...lock, programs.redisServer, ...settings],
  ];
  // A session of its own: Ctrl-C at the terminal is for us, who then end the server last.
  const child = spawn(programs.setpriv, argv, {
    cwd: directory,
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' },
    detached: true,
  });
  const exited = watchExit(child, directory);
  await spawned(child, directory);
  return { pid: child.pid ?? 0, exited, kill: (signal) => void child.kill(signal) };
}

function spawned(child: ChildProcess, directory: string): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (cause) =>
      reject(new WaferError('store_unavailable', `redis-server could not be started in ${directory}.`, { cause })),
    );
  });
}

async function watchExit(child: ChildProcess, directory: string): Promise<RedisExit> {
  let stderr = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr = (stderr + chunk.toString('utf8')).slice(-4096);
  });
  const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve) => {
    child.once('close', (...ending) => resolve(ending));
    child.once('error', () => resolve([null, null]));
  });
  if (code === LOCK_CONFLICT_EXIT) return { kind: 'directory_in_use', reason: await describeOwner(directory) };
  const ending = signal === null ? `it exited with status ${code}` : `it was ended by ${signal}`;
  const lastWords = stderr.trim() || (code === 0 ? '' : await lastLogLines(directory));
  // With fsync `always` it ends when a write fails, and may not have been able to log that.
  if (code !== 0 && (FULL_DISK_WORDS.test(lastWords) || (await isDiskFull(directory)))) {
    return { kind: 'disk_full', reason: `the disk of ${directory} is full` };
  }
  return { kind: 'ended', reason: lastWords === '' ? ending : `${ending}: ${lastWords}` };
}

async function describeOwner(directory: string): Promise<string> {
  const pid = (await readText(join(directory, PID_NAME))).trim();
  const who = /^\d+$/.test(pid) ? `another redis-server (process ${pid})` : 'another redis-server';
  return `${who} already uses ${directory}`;
}

async function isDiskFull(directory: string): Promise<boolean> {
  try {
    const { bavail, bsize } = await statfs(directory);
    return bavail * bsize < FULL_DISK_BYTES;
  } catch {
    // Gone directory: its log, which is read next, tells more.
    return false;
  }
}

async function lastLogLines(directory: string): Promise<string> {
  const lines = (await readText(join(directory, LOG_NAME))).trim().split('\n');
  return lines.slice(-4).join(' | ');
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    // These files only explain a failure that is already reported.
    return coerceError(error).message;
  }
}
