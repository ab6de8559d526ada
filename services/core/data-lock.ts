/**
 * One platform per data directory. The lock file names a process by pid and start time
 * (proc_pid_stat(5), field 22), so a lock of a process that is gone, or whose pid was
 * given to another one, does not hold.
 */
import { link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isErrno, WaferError } from './errors.ts';

export interface DataLock {
  release(): Promise<void>;
}

/** @throws WaferError `already_running` naming the process that holds it */
export async function lockDataDir(path: string): Promise<DataLock> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const mine = `${process.pid} ${await startTime(process.pid)}\n`;
  const temporary = `${path}.${process.pid}`;
  await writeFile(temporary, mine, { mode: 0o600 });
  try {
    await link(temporary, path).catch((error: unknown) => takeOver(error, temporary, path));
  } finally {
    await rm(temporary, { force: true });
  }
  if ((await readFile(path, 'utf8')) !== mine) throw taken(path, await readFile(path, 'utf8'));
  return {
    async release() {
      const held = await readFile(path, 'utf8').catch(() => '');
      if (held === mine) await rm(path, { force: true });
    },
  };
}

/**
 * Two that take over a stale lock at the same time both rename. The reading afterwards shows most
 * losers who won, not all: what stops the rest is the lock of the embedded Redis on its directory.
 */
async function takeOver(error: unknown, temporary: string, path: string): Promise<void> {
  if (!isErrno(error, 'EEXIST')) throw error;
  const held = await readFile(path, 'utf8').catch(() => '');
  const [pid, started] = held.trim().split(' ');
  if (pid !== undefined && (await startTime(Number(pid))) === started) throw taken(path, held);
  await rename(temporary, path);
}

const taken = (path: string, held: string) =>
  new WaferError('already_running', `Process ${held.split(' ')[0]} already uses this data directory (${path}).`, {
    hint: 'Stop it first, or set WAFER_DATA to another directory.',
  });

/** Field 22 of /proc/PID/stat, counted after the last `)`: the name before it may hold anything. */
async function startTime(pid: number): Promise<string | null> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null);
  return stat === null ? null : (stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null);
}
