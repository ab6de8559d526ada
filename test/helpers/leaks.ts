/** What a running platform has of this machine: equal before and after means that nothing was left behind. */
import { readdir, readFile, readlink, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { dataPaths } from '../../services/core/config.ts';
import type { TestPlatform } from './platform.ts';
import { processTree } from './processes.ts';
import { TEST_DATA } from './test-data.ts';
import { until } from './until.ts';

export interface Holdings {
  /** Name -> how many, the platform's own included. */
  processes: Record<string, number>;
  platformFds: number;
  engine: { sandboxes: number; fds: number; ids: number };
  /** In the engine's mount namespace. */
  mounts: number;
  cgroups: number;
  /** Names in the directories for what does not last. */
  temporary: string[];
}

export async function readHoldings(wafer: TestPlatform): Promise<Holdings> {
  const tree = await processTree(wafer.pid);
  const engine = tree.find(({ command, ppid }) => command.startsWith('wafer-engine') && ppid === wafer.pid);
  if (engine === undefined) throw new Error('the platform has no engine');
  const processes: Record<string, number> = {};
  for (const { command } of tree) processes[command] = (processes[command] ?? 0) + 1;
  return {
    processes,
    platformFds: await countFiles(wafer.pid),
    engine: await readEngine(wafer),
    mounts: (await readFile(`/proc/${engine.pid}/mountinfo`, 'utf8')).split('\n').length,
    cgroups: await countCgroups(engine.pid),
    temporary: await temporaryEntries(),
  };
}

/** Waits until nothing is held that was not before, and says what is when it does not end. */
export async function untilHeld(wafer: TestPlatform, before: Holdings, ms = 120_000): Promise<Holdings> {
  const wanted = JSON.stringify(before);
  let last = before;
  await until(
    'the platform holds what it held before',
    async () => {
      last = await readHoldings(wafer);
      return JSON.stringify(last) === wanted;
    },
    ms,
  ).catch(() => {}); // the test compares, and shows the difference
  return last;
}

/** Sockets of the API's callers, this one's included, come and go: they do not count. */
async function countFiles(pid: number): Promise<number> {
  const names = await readdir(`/proc/${pid}/fd`);
  const targets = await Promise.all(names.map((name) => readlink(`/proc/${pid}/fd/${name}`).catch(() => null)));
  const tcp = await tcpInodes(pid);
  return targets.filter((target) => target !== null && !tcp.has(target)).length;
}

async function tcpInodes(pid: number): Promise<Set<string>> {
  const tables = await Promise.all(['tcp', 'tcp6'].map((name) => readFile(`/proc/${pid}/net/${name}`, 'utf8')));
  const lines = tables.flatMap((table) => table.trim().split('\n').slice(1));
  return new Set(lines.map((line) => `socket:[${line.trim().split(/\s+/)[9]}]`));
}

async function readEngine(wafer: TestPlatform): Promise<Holdings['engine']> {
  const text = await (await wafer.fetch('/metrics')).text();
  const gauge = (name: string) => Number(new RegExp(`^wafer_engine_${name} (\\d+)$`, 'm').exec(text)?.[1]);
  return { sandboxes: gauge('sandboxes'), fds: gauge('fds'), ids: gauge('ids') };
}

/** Groups of one engine, in whichever hierarchies it uses. */
export async function countCgroups(engine: number): Promise<number> {
  const lines = (await readFile(`/proc/${engine}/cgroup`, 'utf8').catch(() => '')).split('\n');
  const v2 = lines.find((line) => line.startsWith('0::'))?.slice(3);
  const v1 = (await readdir('/sys/fs/cgroup')).map((name) => `/sys/fs/cgroup/${name}/wafer/${process.getuid?.()}`);
  const places = [...v1, `/sys/fs/cgroup${v2}/..`];
  const names = await Promise.all(places.map((place) => readdir(place).catch(() => [])));
  return names.flat().filter((name) => name.startsWith(`sandbox-${engine}-`)).length;
}

async function temporaryEntries(): Promise<string[]> {
  const { work, volumes, store, cache, loads } = dataPaths(TEST_DATA);
  const places = [work, volumes, join(cache, 'tmp'), loads, join(store, 'tmp'), join(store, 'uploads')];
  const names = await Promise.all(places.map((place) => readdir(place)));
  return names.flat().sort();
}

/** Bytes of the disk that `work` takes: the least of three times, because other tests write and remove at the same time. */
export async function leastRoomTaken(work: () => Promise<void>): Promise<number> {
  const taken: number[] = [];
  for (let time = 0; time < 3; time++) {
    const before = await freeRoom();
    await work();
    taken.push(before - (await freeRoom()));
  }
  return Math.min(...taken);
}

async function freeRoom(): Promise<number> {
  const { bavail, bsize } = await statfs(TEST_DATA);
  return bavail * bsize;
}
