/** `wafer cp` with real containers, hostile ones too. */
import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ContainerCli, openContainerCli } from '../helpers/container-cli.ts';
import { CLI } from '../helpers/paths.ts';

const IMAGE = 'debian12';
let dir: string;
let lab: ContainerCli;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'wafer-containers-'));
  lab = await openContainerCli();
});

afterAll(async () => {
  await lab?.close();
  rmSync(dir, { recursive: true, force: true });
});

describe('wafer cp', () => {
  beforeAll(async () => {
    await lab.ok('create', '--name', 'files', IMAGE, 'sleep', '1000');
  });

  it('copies in and out of a container that does not run, by the rules of docker', async () => {
    const src = join(dir, 'src');
    mkdirSync(join(src, 'sub'), { recursive: true });
    writeFileSync(join(src, 'sub/run'), '#!/bin/sh\necho ran\n', { mode: 0o755 });
    symlinkSync('sub/run', join(src, 'link'));
    await lab.ok('cp', src, 'files:/opt'); // into a directory that is there
    await lab.ok('cp', src, 'files:/opt/renamed'); // under a new name
    await lab.ok('cp', `${src}/.`, 'files:/srv'); // only what is in it
    await lab.ok('cp', join(src, 'sub/run'), 'files:/usr/bin/mine');
    await lab.ok('cp', join(src, 'sub/run'), 'files:/bin/'); // /bin is a link to a directory
    await lab.ok('start', 'files');
    const { stdout } = await lab.ok(
      'exec',
      'files',
      'sh',
      '-c',
      'ls -d /opt/src/sub /opt/renamed/sub /srv/sub; mine; /bin/run; readlink /opt/src/link; stat -c %u:%a /usr/bin/mine',
    );
    expect(stdout.split('\n')).toEqual([
      '/opt/renamed/sub',
      '/opt/src/sub',
      '/srv/sub',
      'ran',
      'ran',
      'sub/run',
      '0:755',
      '',
    ]);

    const out = join(dir, 'out');
    mkdirSync(out);
    await lab.ok('cp', 'files:/opt/src', out);
    await lab.ok('cp', 'files:/opt/src', join(out, 'renamed'));
    await lab.ok('cp', 'files:/opt/src/.', join(out, 'content'));
    await lab.ok('cp', 'files:/usr/bin/mine', join(out, 'file'));
    expect(readdirSync(out).sort()).toEqual(['content', 'file', 'renamed', 'src']);
    expect(readFileSync(join(out, 'src/link'), 'utf8')).toContain('echo ran');
    expect(readlinkSync(join(out, 'renamed/link'))).toBe('sub/run');
    expect(statSync(join(out, 'content/sub/run')).mode & 0o777).toBe(0o755);
    expect(readFileSync(join(out, 'file'))).toEqual(readFileSync(join(src, 'sub/run')));
  });

  it('"-" is a tar', async () => {
    const tar = join(dir, 'etc.tar');
    const pipe = (line: string) =>
      execFileSync('sh', ['-c', line], { env: { ...lab.env(), NODE: process.execPath, CLI, TAR: tar } });
    pipe('"$NODE" "$CLI" cp files:/opt/src - > "$TAR"');
    expect(execFileSync('tar', ['-tf', tar]).toString()).toContain('src/sub/run');
    await lab.ok('exec', 'files', 'mkdir', '/into');
    pipe('"$NODE" "$CLI" cp - files:/into < "$TAR"');
    expect((await lab.ok('exec', 'files', 'cat', '/into/src/sub/run')).stdout).toContain('echo ran');
  });

  it('what a container offers can not leave the destination', async () => {
    const victim = join(dir, 'victim');
    mkdirSync(victim);
    await lab.ok(
      'exec',
      'files',
      'sh',
      '-c',
      `mkdir /evil && ln -s ${victim} /evil/door && ln -s /etc/passwd /evil/abs && echo x > /evil/fine`,
    );
    const out = join(dir, 'hostile');
    const first = await lab.cli('cp', 'files:/evil', out);
    expect(first).toMatchObject({ status: 1, stderr: expect.stringContaining('not copied: hostile/door') });
    expect(readdirSync(out)).toEqual(['fine']);
    // The link is made on request; then the container puts a directory in its place.
    await lab.ok('cp', '--links', 'files:/evil', out);
    await lab.ok('exec', 'files', 'sh', '-c', 'rm /evil/door && mkdir /evil/door && echo gotcha > /evil/door/file');
    expect((await lab.cli('cp', 'files:/evil/.', join(out, 'evil'))).status).toBe(2);
    expect(readdirSync(victim)).toEqual([]);
  });

  it('what is not there is told', async () => {
    expect(await lab.cli('cp', 'files:/none', dir)).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('/none'),
    });
    expect(await lab.cli('cp', join(dir, 'none'), 'files:/')).toMatchObject({ status: 2 });
    expect(await lab.cli('cp', 'nobody:/etc', dir)).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('nobody'),
    });
    expect(await lab.cli('cp', 'files:/etc/passwd', join(dir, 'no/such/dir'))).toMatchObject({ status: 2 });
  });
});
