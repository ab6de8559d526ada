/** The same Dockerfile on the same base, through Wafer and through buildah: both images are read by buildah, find and sha256sum. */
import { execFileSync } from 'node:child_process';
import { chmod, copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Buildah, openBuildah } from '../helpers/buildah.ts';
import { ROOT } from '../helpers/paths.ts';
import { startTestPlatform, type TestPlatform } from '../helpers/platform.ts';
import { TEST_DATA } from '../helpers/test-data.ts';

let wafer: TestPlatform;
let buildah: Buildah;
let context: string;
const store = join(TEST_DATA, 'store');

beforeAll(async () => {
  wafer = await startTestPlatform();
  buildah = await openBuildah();
  await buildah.pull(store, 'debian12', 'localhost/debian12');
  context = await mkdtemp(join(tmpdir(), 'wafer-context-'));
  await makeContext(context);
});
afterAll(async () => {
  await wafer?.stop();
  await buildah?.close();
  if (context !== undefined) await rm(context, { recursive: true, force: true });
});

async function makeContext(dir: string): Promise<void> {
  for (const path of ['src/sub', 'deep/a/b', 'pack/d']) await mkdir(join(dir, path), { recursive: true });
  const files: Record<string, string> = {
    'src/main.txt': 'main\n',
    'src/sub/data.txt': 'data\n',
    'src/run.sh': '#!/bin/sh\necho run\n',
    'deep/a/b/f.md': 'b\n',
    'deep/a/c.txt': 'c\n',
    'secret.key': 'no\n',
    'keep.key': 'yes\n',
    'pack/d/f': 'x\n',
    '.dockerignore': '*.key\n!keep.key\n**/*.md\npack\n',
  };
  for (const [path, text] of Object.entries(files)) await writeFile(join(dir, path), text);
  const modes = { 'src/run.sh': 0o755, 'src/sub': 0o700, 'src/sub/data.txt': 0o600, 'pack/d/f': 0o640 };
  for (const [path, mode] of Object.entries(modes)) await chmod(join(dir, path), mode);
  await symlink('data.txt', join(dir, 'src/sub/link'));
  await symlink('/etc/hostname', join(dir, 'src/abs'));
  execFileSync(
    'bash',
    ['-c', 'ln d/f d/hard && ln -s f d/sym && tar --owner=7 --group=8 --numeric-owner -czf ../pack.tar.gz d'],
    {
      cwd: join(dir, 'pack'),
    },
  );
  await copyFile(join(ROOT, 'test/fixtures/dockerfiles/everything.Dockerfile'), join(dir, 'Dockerfile'));
}

async function both(dockerfile: string, name: string) {
  const built = await wafer.wafer(['build', context, '-f', join(context, dockerfile), '-t', name]);
  expect(built.status, built.stderr).toBe(0);
  await buildah.pull(store, `${name}:latest`, `localhost/${name}-wafer`);
  await buildah.run(
    'bud',
    '--format',
    'docker',
    '-f',
    join(context, dockerfile),
    '-t',
    `localhost/${name}-buildah`,
    context,
  );
  return { ours: `localhost/${name}-wafer`, theirs: `localhost/${name}-buildah` };
}

/** Without what buildah adds of its own (the name of its container, a label with its version), and without what is empty. */
function plain(config: Record<string, unknown>): Record<string, unknown> {
  const { Hostname: _hostname, Labels, ...others } = config;
  const { 'io.buildah.version': _version, ...labels } = (Labels ?? {}) as Record<string, string>;
  const isEmpty = (value: unknown) => ['null', '[]', '{}'].includes(JSON.stringify(value));
  return Object.fromEntries(Object.entries({ ...others, Labels: labels }).filter(([, value]) => !isEmpty(value)));
}

describe('an image that Wafer built', () => {
  it('has the files, modes, owners, links, contents and config of the image that buildah built', async () => {
    const { ours, theirs } = await both('Dockerfile', 'compared');
    const [mine, other] = [await buildah.list(ours), await buildah.list(theirs)];
    expect(mine.length).toBeGreaterThan(4000);
    expect(mine.filter((line) => !other.includes(line))).toEqual([]);
    expect(other.filter((line) => !mine.includes(line))).toEqual([]);
    expect(mine).toContain('srv/many/run.sh|f|4755|0:0||1');
    expect(plain(await buildah.config(ours))).toEqual(plain(await buildah.config(theirs)));
  });

  it('has the config of buildah for the instructions that are about other images', async () => {
    const text =
      'FROM debian12\nMAINTAINER A <a@b>\nONBUILD RUN echo later\nONBUILD COPY . /x\nENTRYPOINT x\nCMD y\nUSER 5:6\n';
    await writeFile(join(context, 'onbuild.Dockerfile'), text);
    const { ours, theirs } = await both('onbuild.Dockerfile', 'onbuild');
    expect(plain(await buildah.config(ours))).toEqual(plain(await buildah.config(theirs)));
  });
});
