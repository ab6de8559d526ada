/**
 * Static C programs, built at test time, run inside real sandboxes; and the count of
 * what the host has, before and after.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import tar from 'tar-stream';
import type { Sandbox, SandboxExit, SandboxSpec } from '../../runtime/sandbox/index.ts';
import { hostProcesses } from '../helpers/processes.ts';
import { openTestHost, type TestHost } from '../helpers/sandbox-host.ts';
import { until } from '../helpers/until.ts';

const PROBES = join(import.meta.dirname, 'probes');

export interface Lab {
  readonly test: TestHost;
  /** The one with the probes. */
  readonly layer: string;
  /** A sandbox whose first program is a probe: its name, then its arguments. Destroyed by `close` at the latest. */
  start(args: string[], spec?: Partial<SandboxSpec>): Promise<Sandbox>;
  /** Runs the probe to its end. */
  run(args: string[], spec?: Partial<SandboxSpec>): Promise<SandboxExit & { out: string }>;
  /** The `name answer` lines that the probe printed; every answer of a name that comes again. */
  answers(args: string[], spec?: Partial<SandboxSpec>): Promise<Record<string, string[]>>;
  /** A layer of these files. Removed by `close`. */
  unpack(files: Record<string, LayerFile>): Promise<string>;
  /** Whether the next ordinary program runs, and the host has what it had when the lab opened. */
  checkRest(): Promise<{ next: string; host: HostCount }>;
  readonly before: HostCount;
  close(): Promise<void>;
}

export type LayerFile = { content: string | Buffer; mode: number } | { linkname: string };

export interface HostCount {
  /** Of the engine and below it. */
  sandboxes: number;
  children: number;
  fds: number;
  ids: number;
  /** Of sandbox users, on the whole machine, that this engine made. */
  processes: number;
  mounts: string;
  cgroups: number;
}

/** @param sources files in `probes`, without their ending */
export async function openLab(...sources: string[]): Promise<Lab> {
  const test = await openTestHost();
  const layer = await unpackFiles(test, await buildProbes(sources));
  const layers = [layer];
  const live = new Set<Sandbox>();
  const uids = new Set<number>();
  let next = 0;
  const lab: Omit<Lab, 'before'> = {
    test,
    layer,
    async start([program, ...args], spec = {}) {
      const sandbox = await test.host.create({
        id: `hostile${next++}`,
        profile: 'function',
        layers: test.base('debian12').layers,
        codeLayers: [layer],
        argv: [`/function/${program}`, ...args],
        env: { PATH: '/usr/bin:/bin' },
        memoryBytes: 64 << 20,
        pids: 32,
        tmpBytes: 8 << 20,
        ...spec,
      });
      live.add(sandbox);
      uids.add(sandbox.hostUid);
      void sandbox.exited.then(() => live.delete(sandbox));
      return sandbox;
    },
    async run(args, spec) {
      const sandbox = await lab.start(args, spec);
      let out = '';
      sandbox.onOutput((_stream, chunk) => {
        out += chunk.toString();
      });
      return { ...(await sandbox.exited), out };
    },
    async answers(args, spec) {
      return parseAnswers((await lab.run(args, spec)).out);
    },
    async unpack(files) {
      const made = await unpackFiles(test, files);
      layers.push(made);
      return made;
    },
    async checkRest() {
      const { out } = await lab.run([], { argv: ['echo', 'fine'] });
      return { next: out, host: await settledCount(test, uids) };
    },
    async close() {
      await Promise.all([...live].map((one) => one.destroy()));
      for (const name of layers) await test.host.removeLayer(name);
      await test.close();
    },
  };
  await lab.run([], { argv: ['true'] }); // what is made once (the relay, pools) is there from now on
  return Object.assign(lab, { before: await settledCount(test, uids) });
}

export function parseAnswers(out: string): Record<string, string[]> {
  const answers: Record<string, string[]> = {};
  for (const [, name, answer] of out.matchAll(/^(\S+) (\S+)$/gm))
    if (name !== undefined && answer !== undefined) answers[name] = [...(answers[name] ?? []), answer];
  return answers;
}

async function buildProbes(sources: string[]): Promise<Record<string, LayerFile>> {
  const files: Record<string, LayerFile> = {};
  for (const source of sources) {
    const content = await build(source);
    files[`function/${source}`] = { content, mode: 0o755 };
    // What a hostile image may try: unpacking takes the bits away.
    files[`function/${source}-setuid`] = { content, mode: 0o6755 };
  }
  return files;
}

async function unpackFiles(test: TestHost, files: Record<string, LayerFile>): Promise<string> {
  const hash = createHash('sha256');
  const pack = tar.pack();
  for (const [name, file] of Object.entries(files)) {
    hash.update(JSON.stringify([name, file]));
    if ('linkname' in file) pack.entry({ name, type: 'symlink', linkname: file.linkname });
    else pack.entry({ name, mode: file.mode }, file.content);
  }
  pack.finalize();
  const layer = hash.digest('hex');
  await test.host.unpack(layer, pack.pipe(new PassThrough()));
  return layer;
}

async function build(source: string): Promise<Buffer> {
  const directory = await mkdtemp(join(tmpdir(), 'wafer-probe-'));
  const program = join(directory, 'probe');
  const flags = ['-std=gnu11', '-O1', '-Wall', '-Wextra', '-Werror', '-static', '-pthread'];
  const built = spawnSync('gcc', [...flags, '-o', program, join(PROBES, `${source}.c`)], { encoding: 'utf8' });
  if (built.status !== 0) throw new Error(`gcc ${source}.c: ${built.stderr}`);
  const content = await readFile(program);
  await rm(directory, { recursive: true });
  return content;
}

async function countHost(test: TestHost, uids: Set<number>): Promise<HostCount> {
  return {
    ...(await test.host.engineStats()),
    processes: (await hostProcesses()).filter((one) => uids.has(one.uid)).length,
    mounts: await readFile('/proc/self/mountinfo', 'utf8'),
    cgroups: await countCgroups(test.host.info.pid),
  };
}

/** Equal twice: a sandbox's last traces go a moment after its exit. */
async function settledCount(test: TestHost, uids: Set<number>): Promise<HostCount> {
  let last = await countHost(test, uids);
  return until('the host is quiet', async () => {
    const now = await countHost(test, uids);
    const quiet = JSON.stringify(now) === JSON.stringify(last) && now.sandboxes === 0 && now.processes === 0;
    last = now;
    return quiet && now;
  });
}

/** Groups of one engine, in whichever hierarchy it uses. */
async function countCgroups(engine: number): Promise<number> {
  const lines = (await readFile(`/proc/${engine}/cgroup`, 'utf8').catch(() => '')).split('\n');
  const v2 = lines.find((line) => line.startsWith('0::'))?.slice(3);
  const places = [`/sys/fs/cgroup/pids/wafer/${process.getuid?.()}`, `/sys/fs/cgroup${v2}/..`];
  const names = await Promise.all(places.map((place) => readdir(place).catch(() => [])));
  return names.flat().filter((name) => name.startsWith(`sandbox-${engine}-`)).length;
}
