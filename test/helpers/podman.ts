/** Debian's podman, rootless, with a storage of its own that is gone afterwards. For images: containers need a network helper that a test machine may lack. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const exec = promisify(execFile);

export interface PodmanImage {
  Id: string;
  Digest: string;
  RepoTags: string[];
  Config: { Cmd?: string[]; Env?: string[]; Labels?: Record<string, string>; WorkingDir?: string };
  RootFS: { Layers: string[] };
  History: { created_by?: string }[];
}

export interface Podman {
  readonly dir: string;
  run(...args: string[]): Promise<string>;
  inspect(name: string): Promise<PodmanImage>;
  close(): Promise<void>;
}

export async function openPodman(): Promise<Podman> {
  const dir = await mkdtemp(join(tmpdir(), 'wafer-podman-'));
  const runtime = join(dir, 'run');
  await mkdir(runtime, { mode: 0o700 });
  const env = { ...process.env, XDG_RUNTIME_DIR: runtime, HOME: dir };
  const globals = ['--root', join(dir, 'root'), '--runroot', runtime, '--tmpdir', join(runtime, 'tmp')];
  const fixed = ['--storage-driver', 'vfs', '--cgroup-manager', 'cgroupfs', '--events-backend', 'file'];
  const options = { cwd: dir, env, maxBuffer: 16 * 1024 * 1024 };
  const run = async (...args: string[]) => (await exec('podman', [...globals, ...fixed, ...args], options)).stdout;
  return {
    dir,
    run,
    async inspect(name) {
      const [image] = JSON.parse(await run('image', 'inspect', name)) as PodmanImage[];
      if (image === undefined) throw new Error(`podman has no image ${name}`);
      return image;
    },
    async close() {
      // The process that holds its namespaces ends.
      await run('system', 'migrate');
      // Its layers belong to subordinate ids.
      await run('unshare', 'rm', '-rf', join(dir, 'root'));
      await rm(dir, { recursive: true, force: true });
    },
  };
}
