/** The processes of this machine, as /proc shows them. */
import { readdir, readFile } from 'node:fs/promises';
import { basename } from 'node:path';

export interface HostProcess {
  pid: number;
  ppid: number;
  uid: number;
  /** Base name of argv[0]. */
  command: string;
}

/** Every process below `pid`, itself included. */
export async function processTree(pid: number): Promise<HostProcess[]> {
  const all = await hostProcesses();
  const below = (parent: number): HostProcess[] =>
    all.filter((one) => one.ppid === parent).flatMap((one) => [one, ...below(one.pid)]);
  return [...all.filter((one) => one.pid === pid), ...below(pid)];
}

export async function hostProcesses(): Promise<HostProcess[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(pids.map(readProcess));
  return found.filter((one) => one !== null);
}

async function readProcess(pid: string): Promise<HostProcess | null> {
  try {
    const status = await readFile(`/proc/${pid}/status`, 'utf8');
    const field = (name: string) => new RegExp(`^${name}:\\s+(\\S+)`, 'm').exec(status)?.[1] ?? '';
    const argv = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0');
    return {
      pid: Number(pid),
      ppid: Number(field('PPid')),
      uid: Number(field('Uid')),
      command: basename(argv[0] ?? ''),
    };
  } catch {
    return null; // it ended while we looked
  }
}
