/** Containers by the real command line, as a child process with pipes. */
import { execFileSync, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ContainerCli, openContainerCli } from '../helpers/container-cli.ts';
import { startDockerRegistry } from '../helpers/docker-registry.ts';
import { CLI } from '../helpers/paths.ts';
import { until } from '../helpers/until.ts';

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

const statusOf = async (name: string) => (await lab.inspect(name)).status;

describe('wafer run', () => {
  it("keeps stdout and stderr apart and ends with the program's exit code, also when it ends at once", async () => {
    for (let round = 0; round < 3; round++) {
      const result = await lab.cli('run', '--rm', IMAGE, 'sh', '-c', 'echo out; echo err >&2; exit 7');
      expect(result).toEqual({ status: 7, stdout: 'out\n', stderr: 'err\n' });
    }
    expect((await lab.ok('ps', '-a')).stdout).not.toContain('out; echo err');
  });

  it('passes stdin on, and its end', async () => {
    const input = randomBytes(3_000_000).toString('base64');
    const { stdout } = await lab.platform().wafer(['run', '--rm', '-i', IMAGE, 'sha256sum'], { input });
    expect(stdout.slice(0, 64)).toBe(createHash('sha256').update(input).digest('hex'));
    expect((await lab.platform().wafer(['run', '--rm', IMAGE, 'wc', '-c'], { input: 'not asked for' })).stdout).toBe(
      '0\n',
    );
    const file = join(dir, 'input');
    writeFileSync(file, input);
    const shell = (line: string) =>
      execFileSync('sh', ['-c', line], { env: { ...lab.env(), NODE: process.execPath, CLI, FILE: file } }).toString();
    expect(shell('"$NODE" "$CLI" run --rm -i debian12 wc -c < "$FILE"')).toBe(`${input.length}\n`);
    expect(shell('"$NODE" "$CLI" run --rm -i debian12 wc -c <&-')).toBe('0\n');
  });

  it('loses nothing of much output, whoever is slow', async () => {
    const { stdout } = await lab.ok('run', '--rm', IMAGE, 'seq', '1', '400000');
    const lines = stdout.split('\n');
    expect([lines.length, lines[399_999]]).toEqual([400_001, '400000']);
  });

  it('gives environment, user, working directory, host name, labels and entrypoint', async () => {
    const words = ['-e', 'A=1', '-e', 'B=two words', '-w', '/var', '-u', '1000:1000', '--hostname', 'box', '-l', 'x=y'];
    const { stdout } = await lab.ok(
      'run',
      '--name',
      'given',
      ...words,
      '--entrypoint',
      'sh',
      IMAGE,
      '-c',
      'echo $A "$B" $(pwd) $(id -u) $(hostname)',
    );
    expect(stdout).toBe('1 two words /var 1000 box\n');
    expect((await lab.inspect('given')).config).toMatchObject({ labels: { x: 'y' }, entrypoint: ['sh'] });
    expect((await lab.ok('ps', '-aq', '--filter', 'label=x=y')).stdout.trim()).toBe((await lab.inspect('given')).id);
    await lab.ok('rm', 'given');
  });

  it('says 127 for a program that is not there, 126 for one that can not be run, 125 for itself', async () => {
    const missing = await lab.cli('run', '--rm', IMAGE, 'nothing-like-it');
    expect(missing).toMatchObject({ status: 127, stderr: expect.stringContaining('nothing-like-it') });
    expect((await lab.cli('run', '--rm', IMAGE, '/etc/passwd')).status).toBe(126);
    const image = await lab.cli('run', 'no-such-image', 'true');
    expect(image).toMatchObject({ status: 125, stderr: expect.stringContaining('wafer images') });
    expect((await lab.ok('ps', '-a')).stdout).not.toMatch(/nothing-like-it|\/etc\/passwd/);
  });

  it('brings an image that is not in the store from the registry that its name says', async () => {
    // Insecure registries are a setting of the platform, so this one has its own.
    const registry = await startDockerRegistry(join(dir, 'registry'));
    await lab.platform().stop();
    await lab.restart({ WAFER_INSECURE_REGISTRIES: registry.host });
    const name = `${registry.host}/team/tool:v1`;
    try {
      await lab.ok('image', 'push', IMAGE, name);
      const result = await lab.cli('run', '--rm', name, 'echo', 'pulled');
      expect(result).toMatchObject({ status: 0, stdout: 'pulled\n' });
      expect(result.stderr).toContain('it comes from its registry');
      expect((await lab.cli('run', '--rm', name, 'true')).stderr).toBe('');
      expect(await lab.cli('run', '--rm', '--pull', 'never', `${registry.host}/team/none`, 'true')).toMatchObject({
        status: 125,
      });
    } finally {
      await lab.cli('image', 'rm', name);
      await registry.close();
    }
  });

  it('-d prints the id; logs, attach, exec, stop and wait find it by name and by the beginning of its id', async () => {
    const script = 'trap "echo bye; exit 4" TERM; echo ready >&2; while :; do sleep 0.1; done';
    const id = (await lab.ok('run', '-d', '--name', 'server', IMAGE, 'sh', '-c', script)).stdout.trim();
    await until('it is ready', async () => (await lab.ok('logs', id.slice(0, 8))).stderr.includes('ready'));
    expect(await lab.ok('exec', 'server', 'sh', '-c', 'echo beside')).toMatchObject({
      stdout: 'beside\n',
    });
    expect(
      await lab
        .platform()
        .wafer(['exec', '-i', '-e', 'X=1', 'server', 'sh', '-c', 'cat; echo $X; exit 9'], { input: 'in ' }),
    ).toMatchObject({ status: 9, stdout: 'in 1\n' });
    expect((await lab.cli('exec', 'server', 'nope')).status).toBe(127);
    const attached = lab.background('attach', '--logs', '--no-signals', 'server');
    const waiting = lab.background('wait', 'server');
    await until('somebody watches', () => attached.stderr().includes('ready'));
    expect((await lab.ok('stop', 'server')).stdout).toBe('server\n');
    expect(await waiting.ended).toBe(0);
    expect(waiting.stdout()).toBe('4\n');
    expect(await attached.ended).toBe(4);
    expect(attached.stdout()).toBe('bye\n');
    expect((await lab.ok('logs', 'server')).stdout).toBe('bye\n');
    expect(await statusOf('server')).toBe('exited');
    await lab.ok('rm', 'server');
  });

  it('without a terminal, signals go to the program', async () => {
    const script = 'trap "echo got int; exit 21" INT; echo ready; while :; do sleep 0.1; done';
    const running = lab.background('run', '--name', 'signalled', IMAGE, 'sh', '-c', script);
    await until('it is ready', () => running.stdout().includes('ready'));
    running.child.kill('SIGINT');
    expect(await running.ended).toBe(21);
    expect(running.stdout()).toBe('ready\ngot int\n');
    await lab.ok('rm', 'signalled');
  });

  it('a reader that goes away ends logs -f quietly', async () => {
    await lab.ok('run', '-d', '--name', 'talker', IMAGE, 'sh', '-c', 'while :; do echo again; sleep 0.05; done');
    const shell = spawn('sh', ['-c', `"$NODE" "$CLI" logs -f talker | head -n 2`], {
      env: { ...lab.env(), NODE: process.execPath, CLI },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let said = '';
    for (const stream of [shell.stdout, shell.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => (said += text));
    expect((await once(shell, 'close'))[0]).toBe(0);
    expect(said).toBe('again\nagain\n');
    await lab.ok('rm', '-f', 'talker');
  });
});

describe('the rest', () => {
  it('diff, commit, export, rename, top, stats, pause and prune', async () => {
    await lab.ok('run', '--name', 'work', IMAGE, 'sh', '-c', 'echo new > /added; rm /etc/motd; echo x >> /etc/issue');
    const diff = (await lab.ok('diff', 'work')).stdout;
    expect(diff).toMatch(/^A \/added$/m);
    expect(diff).toMatch(/^D \/etc\/motd$/m);
    expect(diff).toMatch(/^C \/etc\/issue$/m);
    await lab.ok('commit', '-m', 'by hand', '-c', 'CMD ["cat", "/added"]', 'work', 'made-by-hand');
    expect((await lab.ok('run', '--rm', 'made-by-hand')).stdout).toBe('new\n');
    const tar = join(dir, 'work.tar');
    await lab.ok('export', 'work', '-o', tar);
    expect(execFileSync('tar', ['-xOf', tar, 'added']).toString()).toBe('new\n');
    await lab.ok('rename', 'work', 'worked');
    expect((await lab.ok('ps', '-a', '--filter', 'name=worked')).stdout).toMatch(/worked +debian12 .* exited 0/);
    await lab.ok('run', '-d', '--name', 'busy', IMAGE, 'sleep', '1000');
    expect((await lab.ok('top', 'busy')).stdout).toMatch(/sleep 1000/);
    expect((await lab.ok('stats', '--no-stream', 'busy')).stdout).toMatch(/busy +\d+\.\d % /);
    await lab.ok('pause', 'busy');
    expect(await statusOf('busy')).toBe('paused');
    await lab.ok('unpause', 'busy');
    expect(await statusOf('busy')).toBe('running');
    expect((await lab.cli('rm', 'busy')).status).toBe(2);
    await lab.ok('kill', '-s', 'KILL', 'busy');
    expect((await lab.ok('wait', 'busy')).stdout).toBe('137\n');
    const worked = await lab.inspect('worked');
    expect((await lab.ok('container', 'prune')).stdout.split('\n')).toContain(worked.id);
    expect((await lab.ok('ps', '-aq', '--filter', 'name=worked')).stdout).toBe('');
    await lab.ok('image', 'rm', 'made-by-hand');
  });
});
