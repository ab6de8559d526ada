/** Debian's buildah, rootless, with a storage of its own that is gone afterwards: the builder to compare with. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const exec = promisify(execFile);

export interface Buildah {
  run(...args: string[]): Promise<string>;
  /** An image of an OCI layout on disk, under a name here. */
  pull(layout: string, tag: string, name: string): Promise<void>;
  /** One line a file: path|type|mode|owner:group|link target|names|digest of a file's bytes. Read by find and sha256sum. */
  list(image: string): Promise<string[]>;
  config(image: string): Promise<Record<string, unknown>>;
  /** How another program that knows this storage (podman) is started. */
  as(program: string): { argv: string[]; env: Record<string, string> };
  close(): Promise<void>;
}

const LIST = `
set -e
container=$("$@" from --pull-never "$IMAGE")
cd "$("$@" mount "$container")"
find . -mindepth 1 -printf '%P|%y|%m|%U:%G|%l|%n\\n'
find . -type f -print0 | xargs -0 sha256sum
`;

/** `vfs` works everywhere; `overlay` is what people use. */
export async function openBuildah(driver: 'vfs' | 'overlay' = 'vfs'): Promise<Buildah> {
  const dir = await mkdtemp(join(tmpdir(), 'wafer-buildah-'));
  const runtime = join(dir, 'run');
  await mkdir(runtime, { mode: 0o700 });
  const env = { ...process.env, XDG_RUNTIME_DIR: runtime, BUILDAH_ISOLATION: 'chroot' };
  const command = ['buildah', '--root', join(dir, 'root'), '--runroot', runtime, '--storage-driver', driver];
  const [program = '', ...globals] = command;
  const options = { cwd: dir, maxBuffer: 64 * 1024 * 1024 };
  const run = async (...args: string[]) => (await exec(program, [...globals, ...args], { ...options, env })).stdout;
  return {
    run,
    async pull(layout, tag, name) {
      // buildah makes a name of the path, and a name holds no leading dot and no capital letter.
      const link = join(tmpdir(), `wafer-layout-${process.pid}`);
      await symlink(layout, link);
      try {
        const id = (await run('pull', '--quiet', `oci:${link}:${tag}`)).trim();
        await run('tag', id, name);
      } finally {
        await unlink(link);
      }
    },
    async list(image) {
      const argv = [...globals, 'unshare', 'bash', '-c', LIST, 'list', ...command];
      const { stdout } = await exec(program, argv, { ...options, env: { ...env, IMAGE: image } });
      return stdout.trimEnd().split('\n').sort();
    },
    async config(image) {
      const found = JSON.parse(await run('inspect', '--type', 'image', image)) as {
        Docker: { config: Record<string, unknown> };
      };
      return found.Docker.config;
    },
    as: (other) => ({
      argv: [other, ...globals, '--tmpdir', join(runtime, 'tmp')],
      env: { PATH: process.env['PATH'] ?? '', HOME: dir, XDG_RUNTIME_DIR: runtime },
    }),
    async close() {
      await exec(program, [...globals, 'unshare', 'rm', '-rf', join(dir, 'root')], { ...options, env });
      await rm(dir, { recursive: true, force: true });
    },
  };
}
