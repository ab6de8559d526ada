/** Containers by the real command line, as a child process with pipes or on a real terminal. */
import { execFileSync, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
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
import { startDockerRegistry } from '../helpers/docker-registry.ts';
import { CLI, type CliResult, ROOT, startTestPlatform, type TestPlatform, until } from '../helpers/platform.ts';
import { startPty } from '../helpers/pty.ts';

const IMAGE = 'debian12';
let dir: string;
let wafer: TestPlatform;
let env: Record<string, string | undefined>;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'wafer-containers-'));
  wafer = await startTestPlatform();
  env = { ...process.env, NO_COLOR: '1', WAFER_URL: wafer.url, WAFER_KEY: wafer.key };
  await removeAll();
});

afterAll(async () => {
  await removeAll();
  await wafer?.stop();
  rmSync(dir, { recursive: true, force: true });
});

/** Also what a run that broke off left. */
async function removeAll(): Promise<void> {
  const ids = (await cli('ps', '-aq')).stdout.split('\n').filter(Boolean);
  if (ids.length > 0) await cli('rm', '-f', '--container', ...ids);
}

const cli = (...args: string[]) => wafer.wafer(args);
async function ok(...args: string[]): Promise<CliResult> {
  const result = await cli(...args);
  expect(result, `wafer ${args.join(' ')}: ${result.stderr}`).toMatchObject({ status: 0 });
  return result;
}
const inspect = async (name: string) => JSON.parse((await ok('inspect', name)).stdout)[0];
const status = async (name: string): Promise<string> => (await inspect(name)).status;
const pty = (...args: string[]) => startPty([process.execPath, CLI, ...args], env);
/** A CLI that goes on while the test does something else. */
function background(...args: string[]) {
  const child = spawn(process.execPath, [CLI, ...args], { env, cwd: ROOT, stdio: ['pipe', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const ended = once(child, 'close').then(([code]) => code as number | null);
  return { child, ended, stdout: () => stdout, stderr: () => stderr };
}

describe('wafer run', () => {
  it("keeps stdout and stderr apart and ends with the program's exit code, also when it ends at once", async () => {
    for (let round = 0; round < 3; round++) {
      const result = await cli('run', '--rm', IMAGE, 'sh', '-c', 'echo out; echo err >&2; exit 7');
      expect(result).toEqual({ status: 7, stdout: 'out\n', stderr: 'err\n' });
    }
    expect((await ok('ps', '-a')).stdout).not.toContain('out; echo err');
  });

  it('passes stdin on, and its end', async () => {
    const input = randomBytes(3_000_000).toString('base64');
    const { stdout } = await wafer.wafer(['run', '--rm', '-i', IMAGE, 'sha256sum'], { input });
    expect(stdout.slice(0, 64)).toBe(createHash('sha256').update(input).digest('hex'));
    expect((await wafer.wafer(['run', '--rm', IMAGE, 'wc', '-c'], { input: 'not asked for' })).stdout).toBe('0\n');
    const file = join(dir, 'input');
    writeFileSync(file, input);
    const shell = (line: string) =>
      execFileSync('sh', ['-c', line], { env: { ...env, NODE: process.execPath, CLI, FILE: file } }).toString();
    expect(shell('"$NODE" "$CLI" run --rm -i debian12 wc -c < "$FILE"')).toBe(`${input.length}\n`);
    expect(shell('"$NODE" "$CLI" run --rm -i debian12 wc -c <&-')).toBe('0\n');
  });

  it('loses nothing of much output, whoever is slow', async () => {
    const { stdout } = await ok('run', '--rm', IMAGE, 'seq', '1', '400000');
    const lines = stdout.split('\n');
    expect([lines.length, lines[399_999]]).toEqual([400_001, '400000']);
  });

  it('gives environment, user, working directory, host name, labels and entrypoint', async () => {
    const words = ['-e', 'A=1', '-e', 'B=two words', '-w', '/var', '-u', '1000:1000', '--hostname', 'box', '-l', 'x=y'];
    const { stdout } = await ok(
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
    expect((await inspect('given')).config).toMatchObject({ labels: { x: 'y' }, entrypoint: ['sh'] });
    expect((await ok('ps', '-aq', '--filter', 'label=x=y')).stdout.trim()).toBe((await inspect('given')).id);
    await ok('rm', 'given');
  });

  it('says 127 for a program that is not there, 126 for one that can not be run, 125 for itself', async () => {
    const missing = await cli('run', '--rm', IMAGE, 'nothing-like-it');
    expect(missing).toMatchObject({ status: 127, stderr: expect.stringContaining('nothing-like-it') });
    expect((await cli('run', '--rm', IMAGE, '/etc/passwd')).status).toBe(126);
    const image = await cli('run', 'no-such-image', 'true');
    expect(image).toMatchObject({ status: 125, stderr: expect.stringContaining('wafer images') });
    expect((await ok('ps', '-a')).stdout).not.toMatch(/nothing-like-it|\/etc\/passwd/);
  });

  it('brings an image that is not in the store from the registry that its name says', async () => {
    // Insecure registries are a setting of the platform, so this one has its own.
    const registry = await startDockerRegistry(join(dir, 'registry'));
    await wafer.stop();
    wafer = await startTestPlatform({ WAFER_INSECURE_REGISTRIES: registry.host });
    env = { ...env, WAFER_URL: wafer.url };
    const name = `${registry.host}/team/tool:v1`;
    try {
      await ok('image', 'push', IMAGE, name);
      const result = await cli('run', '--rm', name, 'echo', 'pulled');
      expect(result).toMatchObject({ status: 0, stdout: 'pulled\n' });
      expect(result.stderr).toContain('it comes from its registry');
      expect((await cli('run', '--rm', name, 'true')).stderr).toBe('');
      expect(await cli('run', '--rm', '--pull', 'never', `${registry.host}/team/none`, 'true')).toMatchObject({
        status: 125,
      });
    } finally {
      await cli('image', 'rm', name);
      await registry.close();
    }
  });

  it('-d prints the id; logs, attach, exec, stop and wait find it by name and by the beginning of its id', async () => {
    const script = 'trap "echo bye; exit 4" TERM; echo ready >&2; while :; do sleep 0.1; done';
    const id = (await ok('run', '-d', '--name', 'server', IMAGE, 'sh', '-c', script)).stdout.trim();
    await until('it is ready', async () => (await ok('logs', id.slice(0, 8))).stderr.includes('ready'));
    expect(await ok('exec', 'server', 'sh', '-c', 'echo beside')).toMatchObject({
      stdout: 'beside\n',
    });
    expect(
      await wafer.wafer(['exec', '-i', '-e', 'X=1', 'server', 'sh', '-c', 'cat; echo $X; exit 9'], { input: 'in ' }),
    ).toMatchObject({ status: 9, stdout: 'in 1\n' });
    expect((await cli('exec', 'server', 'nope')).status).toBe(127);
    const attached = background('attach', '--logs', '--no-signals', 'server');
    const waiting = background('wait', 'server');
    await until('somebody watches', () => attached.stderr().includes('ready'));
    expect((await ok('stop', 'server')).stdout).toBe('server\n');
    expect(await waiting.ended).toBe(0);
    expect(waiting.stdout()).toBe('4\n');
    expect(await attached.ended).toBe(4);
    expect(attached.stdout()).toBe('bye\n');
    expect((await ok('logs', 'server')).stdout).toBe('bye\n');
    expect(await status('server')).toBe('exited');
    await ok('rm', 'server');
  });

  it('without a terminal, signals go to the program', async () => {
    const script = 'trap "echo got int; exit 21" INT; echo ready; while :; do sleep 0.1; done';
    const running = background('run', '--name', 'signalled', IMAGE, 'sh', '-c', script);
    await until('it is ready', () => running.stdout().includes('ready'));
    running.child.kill('SIGINT');
    expect(await running.ended).toBe(21);
    expect(running.stdout()).toBe('ready\ngot int\n');
    await ok('rm', 'signalled');
  });

  it('a reader that goes away ends logs -f quietly', async () => {
    await ok('run', '-d', '--name', 'talker', IMAGE, 'sh', '-c', 'while :; do echo again; sleep 0.05; done');
    const shell = spawn('sh', ['-c', `"$NODE" "$CLI" logs -f talker | head -n 2`], {
      env: { ...env, NODE: process.execPath, CLI },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let said = '';
    for (const stream of [shell.stdout, shell.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => (said += text));
    expect((await once(shell, 'close'))[0]).toBe(0);
    expect(said).toBe('again\nagain\n');
    await ok('rm', '-f', 'talker');
  });
});

describe('on a terminal', () => {
  it('run -it has a terminal of this size, follows its changes, and gives the terminal back', async () => {
    const screen = pty('run', '-it', '--rm', IMAGE, 'sh');
    await screen.see('# ');
    screen.type('stty size; tty\n');
    await screen.see('24 80');
    await screen.see('/dev/pts/');
    screen.resize(40, 100);
    screen.type('while [ "$(stty size)" != "40 100" ]; do sleep 0.05; done; echo re""sized\n');
    await screen.see('resized');
    // ctrl-C goes to the program inside, and ends nothing here.
    screen.type('sleep 1000\n');
    await screen.see('sleep 1000');
    screen.type('\x03');
    screen.type('echo still""here; exit 5\n');
    await screen.see('stillhere');
    expect(await screen.ended).toEqual({ code: 5, echo: true, canonical: true, signals: true });
    // Line ends are the program's: the terminal here adds nothing.
    expect(screen.screen()).not.toContain('\r\r\n');
  });

  it('ctrl-p ctrl-q leaves it running; attach goes back', async () => {
    const first = pty('run', '-it', '--name', 'shell', IMAGE, 'sh');
    await first.see('# ');
    first.type('X=kept\n');
    first.type('\x10\x11');
    expect(await first.ended).toMatchObject({ code: 0, echo: true, canonical: true });
    expect(first.screen()).toContain('wafer attach shell');
    expect(await status('shell')).toBe('running');
    const second = pty('attach', 'shell');
    await until('the shell answers', async () => {
      second.type('echo "<$X>"\n');
      return second.screen().includes('<kept>');
    });
    second.type('exit 3\n');
    expect(await second.ended).toMatchObject({ code: 3, echo: true });
    // A terminal is one stream, and the log has it.
    expect((await ok('logs', 'shell')).stdout).toContain('<kept>');
    const again = pty('start', '-a', '-i', 'shell');
    await again.see('# ');
    again.type('exit\n');
    expect(await again.ended).toMatchObject({ code: 0 });
    await ok('rm', 'shell');
  });

  it('exec -it has a terminal of its own beside the main program', async () => {
    await ok('run', '-d', '--name', 'host', IMAGE, 'sleep', '1000');
    const screen = pty('exec', '-it', 'host', 'sh');
    await screen.see('# ');
    screen.type('tty; exit 6\n');
    await screen.see('/dev/pts/');
    expect(await screen.ended).toEqual({ code: 6, echo: true, canonical: true, signals: true });
    expect(await status('host')).toBe('running');
    await ok('rm', '-f', 'host');
  });

  it.each(['SIGTERM', 'SIGHUP'] as const)('%s gives the terminal back', async (name) => {
    const screen = pty('run', '-it', '--rm', IMAGE, 'sh');
    await screen.see('# ');
    screen.signal(name);
    const end = await screen.ended;
    expect(end).toMatchObject({ echo: true, canonical: true, signals: true });
    expect(end.code).toBe(name === 'SIGTERM' ? 143 : 129);
  });

  it('a platform that goes away gives the terminal back, too, and it is told', async () => {
    const screen = pty('run', '-it', '--name', 'lost', IMAGE, 'sh');
    await screen.see('# ');
    await wafer.kill();
    expect(await screen.ended).toEqual({ code: 125, echo: true, canonical: true, signals: true });
    expect(screen.screen()).toMatch(/connection .*was (?:lost|closed)/);
    wafer = await startTestPlatform();
    env = { ...env, WAFER_URL: wafer.url };
    await ok('rm', '-f', 'lost');
  });

  it('-it needs one', async () => {
    expect(await cli('run', '-it', IMAGE, 'sh')).toMatchObject({
      status: 125,
      stderr: expect.stringContaining('not a terminal'),
    });
    expect((await ok('ps', '-a', '--filter', 'status=created')).stdout).toContain('No container');
  });
});

describe('wafer cp', () => {
  beforeAll(async () => {
    await ok('create', '--name', 'files', IMAGE, 'sleep', '1000');
  });

  it('copies in and out of a container that does not run, by the rules of docker', async () => {
    const src = join(dir, 'src');
    mkdirSync(join(src, 'sub'), { recursive: true });
    writeFileSync(join(src, 'sub/run'), '#!/bin/sh\necho ran\n', { mode: 0o755 });
    symlinkSync('sub/run', join(src, 'link'));
    await ok('cp', src, 'files:/opt'); // into a directory that is there
    await ok('cp', src, 'files:/opt/renamed'); // under a new name
    await ok('cp', `${src}/.`, 'files:/srv'); // only what is in it
    await ok('cp', join(src, 'sub/run'), 'files:/usr/bin/mine');
    await ok('cp', join(src, 'sub/run'), 'files:/bin/'); // /bin is a link to a directory
    await ok('start', 'files');
    const { stdout } = await ok(
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
    await ok('cp', 'files:/opt/src', out);
    await ok('cp', 'files:/opt/src', join(out, 'renamed'));
    await ok('cp', 'files:/opt/src/.', join(out, 'content'));
    await ok('cp', 'files:/usr/bin/mine', join(out, 'file'));
    expect(readdirSync(out).sort()).toEqual(['content', 'file', 'renamed', 'src']);
    expect(readFileSync(join(out, 'src/link'), 'utf8')).toContain('echo ran');
    expect(readlinkSync(join(out, 'renamed/link'))).toBe('sub/run');
    expect(statSync(join(out, 'content/sub/run')).mode & 0o777).toBe(0o755);
    expect(readFileSync(join(out, 'file'))).toEqual(readFileSync(join(src, 'sub/run')));
  });

  it('"-" is a tar', async () => {
    const tar = join(dir, 'etc.tar');
    const pipe = (line: string) =>
      execFileSync('sh', ['-c', line], { env: { ...env, NODE: process.execPath, CLI, TAR: tar } });
    pipe('"$NODE" "$CLI" cp files:/opt/src - > "$TAR"');
    expect(execFileSync('tar', ['-tf', tar]).toString()).toContain('src/sub/run');
    await ok('exec', 'files', 'mkdir', '/into');
    pipe('"$NODE" "$CLI" cp - files:/into < "$TAR"');
    expect((await ok('exec', 'files', 'cat', '/into/src/sub/run')).stdout).toContain('echo ran');
  });

  it('what a container offers can not leave the destination', async () => {
    const victim = join(dir, 'victim');
    mkdirSync(victim);
    await ok(
      'exec',
      'files',
      'sh',
      '-c',
      `mkdir /evil && ln -s ${victim} /evil/door && ln -s /etc/passwd /evil/abs && echo x > /evil/fine`,
    );
    const out = join(dir, 'hostile');
    const first = await cli('cp', 'files:/evil', out);
    expect(first).toMatchObject({ status: 1, stderr: expect.stringContaining('not copied: hostile/door') });
    expect(readdirSync(out)).toEqual(['fine']);
    // The link is made on request; then the container puts a directory in its place.
    await ok('cp', '--links', 'files:/evil', out);
    await ok('exec', 'files', 'sh', '-c', 'rm /evil/door && mkdir /evil/door && echo gotcha > /evil/door/file');
    expect((await cli('cp', 'files:/evil/.', join(out, 'evil'))).status).toBe(2);
    expect(readdirSync(victim)).toEqual([]);
  });

  it('what is not there is told', async () => {
    expect(await cli('cp', 'files:/none', dir)).toMatchObject({ status: 2, stderr: expect.stringContaining('/none') });
    expect(await cli('cp', join(dir, 'none'), 'files:/')).toMatchObject({ status: 2 });
    expect(await cli('cp', 'nobody:/etc', dir)).toMatchObject({ status: 2, stderr: expect.stringContaining('nobody') });
    expect(await cli('cp', 'files:/etc/passwd', join(dir, 'no/such/dir'))).toMatchObject({ status: 2 });
  });
});

describe('the rest', () => {
  it('diff, commit, export, rename, top, stats, pause and prune', async () => {
    await ok('run', '--name', 'work', IMAGE, 'sh', '-c', 'echo new > /added; rm /etc/motd; echo x >> /etc/issue');
    const diff = (await ok('diff', 'work')).stdout;
    expect(diff).toMatch(/^A \/added$/m);
    expect(diff).toMatch(/^D \/etc\/motd$/m);
    expect(diff).toMatch(/^C \/etc\/issue$/m);
    await ok('commit', '-m', 'by hand', '-c', 'CMD ["cat", "/added"]', 'work', 'made-by-hand');
    expect((await ok('run', '--rm', 'made-by-hand')).stdout).toBe('new\n');
    const tar = join(dir, 'work.tar');
    await ok('export', 'work', '-o', tar);
    expect(execFileSync('tar', ['-xOf', tar, 'added']).toString()).toBe('new\n');
    await ok('rename', 'work', 'worked');
    expect((await ok('ps', '-a', '--filter', 'name=worked')).stdout).toMatch(/worked +debian12 .* exited 0/);
    await ok('run', '-d', '--name', 'busy', IMAGE, 'sleep', '1000');
    expect((await ok('top', 'busy')).stdout).toMatch(/sleep 1000/);
    expect((await ok('stats', '--no-stream', 'busy')).stdout).toMatch(/busy +\d+\.\d % /);
    await ok('pause', 'busy');
    expect(await status('busy')).toBe('paused');
    await ok('unpause', 'busy');
    expect(await status('busy')).toBe('running');
    expect((await cli('rm', 'busy')).status).toBe(2);
    await ok('kill', '-s', 'KILL', 'busy');
    expect((await ok('wait', 'busy')).stdout).toBe('137\n');
    const worked = await inspect('worked');
    expect((await ok('container', 'prune')).stdout.split('\n')).toContain(worked.id);
    expect((await ok('ps', '-aq', '--filter', 'name=worked')).stdout).toBe('');
    await ok('image', 'rm', 'made-by-hand');
  });
});
