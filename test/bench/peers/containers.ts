/** The same small program in containers of others, all rootless: podman over its own storage, runc (or crun) on an unpacked image. */
import { execFile } from 'node:child_process';
import { mkdir, readFile, symlink, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { type Buildah, openBuildah } from '../../helpers/buildah.ts';
import { TEST_DATA } from '../../helpers/test-data.ts';
import { CLEAN_ENV, type Launched, type Reference } from './reference.ts';

const exec = promisify(execFile);

export const PROGRAM = {
  'index.mjs': 'export const handler = async (event) => ({ echo: event });\n',
  'once.mjs':
    "import { handler } from './index.mjs';\nprocess.stdout.write(JSON.stringify(await handler({ n: 1 })) + '\\n');\n",
};
const ANSWER = '{"echo":{"n":1}}\n';
const ARGV = ['node', '/app/once.mjs'];

export interface Peer {
  name: string;
  /** Once, from start to end; ms. */
  run(): Promise<number>;
}

/** A peer, or why it is not here. */
export type MaybePeer = Peer | { missing: string };

export const isHere = (peer: MaybePeer): peer is Peer => !('missing' in peer);

export interface Podman {
  /** How it is run here. */
  name: string;
  /** `buildah bud` of the folder's Dockerfile; ms. */
  build(): Promise<number>;
  /** `podman run` of what was built last; ms. */
  run(): Promise<number>;
  close(): Promise<void>;
}

const program = (name: string) => findProgram(name, process.env['PATH'] ?? '');

async function findProgram(name: string, path: string): Promise<string | null> {
  for (const folder of [...path.split(delimiter), '/usr/sbin', '/sbin']) {
    const file = join(folder, name);
    const found = await exec('test', ['-x', file]).then(
      () => true,
      () => false,
    );
    if (found) return file;
  }
  return null;
}

export const howToInstall = (name: string) => `${name} is not installed (apt-get install ${name})`;

/** The cheapest first: without cgroups, which only crun can; runc where crun does not run. */
const PODMAN_WAYS = [
  { name: 'podman run, rootless, no cgroups', flags: ['run', '--cgroups=disabled'] },
  { name: 'podman run, rootless, by runc', flags: ['--runtime', 'runc', 'run'] },
];

/** Podman and buildah over one storage with the base image. */
export async function openPodman({ launch }: Reference, folder: string): Promise<Podman | { missing: string }> {
  for (const name of ['podman', 'buildah']) if ((await program(name)) === null) return { missing: howToInstall(name) };
  const podman = String(await program('podman'));
  const buildah = await openBuildah('overlay');
  const { argv, env } = buildah.as(podman);
  const close = async () => {
    // Ends the process that podman leaves to hold its namespaces.
    await exec(podman, [...argv.slice(1), 'system', 'migrate'], { env });
    await buildah.close();
  };
  const command = (flags: string[]) => [
    ...[...argv, '--cgroup-manager', 'cgroupfs', '--events-backend', 'file', ...flags],
    ...['--rm', '--pull', 'never', '--network', 'none', 'app', ...ARGV],
  ];
  const reasons: string[] = [];
  try {
    await buildah.pull(join(TEST_DATA, 'store'), 'node24', 'node24');
    await timedBuild(buildah, folder);
    for (const { name, flags } of PODMAN_WAYS) {
      const reason = await tryCommand(command(flags), env);
      if (reason === null) {
        const run = async () => onlyMs(await launch(command(flags), { env }));
        return { name, build: () => timedBuild(buildah, folder), run, close };
      }
      reasons.push(`${name}: ${reason}`);
    }
  } catch (error) {
    reasons.push((error as Error).message.slice(0, 200));
  }
  await close();
  return { missing: reasons.join('; ') };
}

/** Null when the program answered as it should. */
async function tryCommand([file = '', ...args]: string[], env: Record<string, string>): Promise<string | null> {
  try {
    const { stdout } = await exec(file, args, { env });
    return stdout === ANSWER ? null : 'it ran something else';
  } catch (error) {
    const { stderr = '' } = error as { stderr?: string };
    return `does not run here: ${stderr.trim().split('\n').at(-1)?.slice(0, 150)}`;
  }
}

async function timedBuild(buildah: Buildah, context: string): Promise<number> {
  const began = performance.now();
  await buildah.run('bud', '--quiet', '--pull-never', '--layers', '-t', 'app', context);
  return performance.now() - began;
}

const onlyMs = ({ ms }: Launched): number => ms[0] ?? Number.NaN;

/** The program and its Dockerfile of two lines, in a folder. */
export async function writeProgram(dir: string): Promise<string> {
  const folder = join(dir, 'program');
  await mkdir(folder, { recursive: true });
  for (const [name, text] of Object.entries(PROGRAM)) await writeFile(join(folder, name), text);
  await writeFile(join(folder, 'Dockerfile'), 'FROM node24\nCOPY . /app\n');
  return folder;
}

/** runc, or crun where it runs. */
export async function openRunc(dir: string, reference: Reference): Promise<MaybePeer> {
  const umoci = await program('umoci');
  if (umoci === null) return { missing: howToInstall('umoci') };
  const bundle = await unpackBundle(umoci, dir);
  const reasons: string[] = [];
  for (const name of ['runc', 'crun']) {
    const file = await program(name);
    const env = { ...CLEAN_ENV, XDG_RUNTIME_DIR: dir };
    const reason =
      file === null ? howToInstall(name) : await tryCommand(runtimeArgv(file, dir, bundle, 'bench-try'), env);
    if (reason === null) return runtimePeer(String(file), name, { dir, bundle, reference });
    reasons.push(`${name}: ${reason}`);
  }
  return { missing: reasons.join('; ') };
}

const runtimeArgv = (file: string, dir: string, bundle: string, id: string): string[] => [
  file,
  '--root',
  join(dir, 'runtime-state'),
  ...(file.endsWith('crun') ? ['--cgroup-manager=disabled'] : []),
  'run',
  '-b',
  bundle,
  id,
];

function runtimePeer(file: string, name: string, parts: { dir: string; bundle: string; reference: Reference }): Peer {
  let next = 0;
  const { dir, bundle, reference } = parts;
  return {
    name: `${name} run, rootless`,
    run: async () =>
      onlyMs(
        await reference.launch(runtimeArgv(file, dir, bundle, `bench-${next++}`), {
          env: { ...CLEAN_ENV, XDG_RUNTIME_DIR: dir },
        }),
      ),
  };
}

/** The base image with the program, as umoci unpacks it for a rootless runtime, and with a network namespace of its own as Wafer's have. */
async function unpackBundle(umoci: string, dir: string): Promise<string> {
  const bundle = join(dir, 'oci-bundle');
  const link = join(tmpdir(), `wafer-bench-layout-${process.pid}`);
  await symlink(join(TEST_DATA, 'store'), link);
  try {
    await exec(umoci, ['unpack', '--rootless', '--image', `${link}:node24`, bundle]);
  } finally {
    await unlink(link);
  }
  const app = join(bundle, 'rootfs/app');
  await mkdir(app);
  for (const [name, text] of Object.entries(PROGRAM)) await writeFile(join(app, name), text);
  const file = join(bundle, 'config.json');
  const spec = JSON.parse(await readFile(file, 'utf8')) as {
    process: { args: string[]; terminal: boolean };
    linux: { namespaces: { type: string }[] };
  };
  spec.process.args = ARGV;
  spec.process.terminal = false;
  spec.linux.namespaces.push({ type: 'network' });
  await writeFile(file, JSON.stringify(spec));
  return bundle;
}
