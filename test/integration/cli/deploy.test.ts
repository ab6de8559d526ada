import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { toProblem, WaferError } from '../../../services/core/errors.ts';
import { type CliOptions, runCli } from '../../helpers/run-cli.ts';
import { type ApiServer, KEY, ndjson, startApiServer, version } from './api-server.ts';

const run = promisify(execFile);
let api: ApiServer;
let home: string;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'wafer-cli-'));
  api = await startApiServer();
});

afterAll(async () => {
  await api.close();
  await rm(home, { recursive: true, force: true });
});

const wafer = (args: readonly string[], options: CliOptions = {}) =>
  runCli(args, { cwd: home, ...options, env: { HOME: home, WAFER_URL: api.url, WAFER_KEY: KEY, ...options.env } });

async function makeFolder(name: string, files: Record<string, string>): Promise<string> {
  const folder = join(home, name);
  await mkdir(folder);
  for (const [file, text] of Object.entries(files)) await writeFile(join(folder, file), text);
  return folder;
}

const deployed = { type: 'deployed', version: version(4) };

/** The two parts of the last request, as a server sees them. */
function lastUpload(): { config: unknown; archive: Buffer } {
  const { headers, body } = api.seen.at(-1)!;
  const boundary = /boundary=(.+)$/.exec(headers['content-type'] ?? '')![1]!;
  const [, config = '', archive = ''] = body.toString('latin1').split(`--${boundary}`);
  const content = (part: string) => part.slice(part.indexOf('\r\n\r\n') + 4, -2);
  return { config: JSON.parse(content(config)), archive: Buffer.from(content(archive), 'latin1') };
}

describe('deploy', () => {
  test('sends the folder, shows the build while it runs, and says how to call', async () => {
    const events = [
      { type: 'step', step: 'unpack', state: 'done', ms: 12 },
      { type: 'step', step: 'dependencies', state: 'start' },
      { type: 'log', step: 'dependencies', stream: 'stdout', text: 'added 3 packages\n' },
      { type: 'step', step: 'dependencies', state: 'cached' },
      deployed,
    ];
    api.on('PUT /v1/functions/from-config', ndjson(events));
    const text = '{ "name": "from-config", /* comments are fine */ "runtime": "node", }';
    await makeFolder('one', { 'wafer.json': text, 'index.mjs': 'export const handler = () => 1;' });
    const { code, stdout, stderr } = await wafer(['deploy', 'one']);
    expect(code).toBe(0);
    expect(stderr).toMatch(/Sending 2 files/);
    expect(stderr).toMatch(/✓ unpack {2}12 ms\n {2}│ added 3 packages\n✓ dependencies {2}cached/);
    expect(stdout).toMatch(/from-config v4 is live after .*added 1\.5 KiB/);
    expect(stdout).toContain('wafer invoke from-config');
    const { config, archive } = lastUpload();
    expect(config).toEqual({ name: 'from-config' });
    expect(gunzipSync(archive).toString('latin1')).toContain('index.mjs');
    expect(api.seen.at(-1)!.headers.accept).toBe('application/x-ndjson');
  });

  test('--name wins, and --json prints the version alone', async () => {
    api.on('PUT /v1/functions/given', ndjson([deployed]));
    const { stdout } = await wafer(['deploy', 'one', '--name', 'given', '--json']);
    expect(JSON.parse(stdout).number).toBe(4);
    expect(lastUpload().config).toEqual({ name: 'given' });
  });

  test('without wafer.json the folder gives the name', async () => {
    api.on('PUT /v1/functions/plain', ndjson([deployed]));
    const folder = await makeFolder('plain', { 'index.mjs': '' });
    expect((await wafer(['deploy'], { cwd: folder })).code).toBe(0);
  });

  test('a failed build says which step failed with its last output, exit code 1', async () => {
    const failure = new WaferError('build_failed', 'Step dependencies failed: npm ci ended with 1.', {
      details: { step: 'dependencies', output: 'npm error\nno such package' },
    });
    api.on(
      'PUT /v1/functions/plain',
      ndjson([
        { type: 'step', step: 'dependencies', state: 'start' },
        { type: 'failed', problem: toProblem(failure) },
      ]),
    );
    const { code, stderr } = await wafer(['deploy', 'plain']);
    expect(code).toBe(1);
    expect(stderr).toContain('error: Step dependencies failed');
    expect(stderr).toContain('    no such package');
  });

  test('a stream that ends without a result is an error, not a success', async () => {
    api.on('PUT /v1/functions/plain', ndjson([{ type: 'step', step: 'code', state: 'start' }]));
    const { code, stderr } = await wafer(['deploy', 'plain']);
    expect(code).toBe(3);
    expect(stderr).toContain('ended before the build did');
  });

  test('a broken wafer.json is told with its line before anything is sent', async () => {
    await makeFolder('broken', { 'wafer.json': '{\n  "name": oops\n}' });
    const before = api.seen.length;
    const { code, stderr } = await wafer(['deploy', 'broken']);
    expect(code).toBe(2);
    expect(stderr).toMatch(/wafer\.json, line 2/);
    expect(api.seen.length).toBe(before);
  });

  test('a Dockerfile makes the folder a build context, with wafer.json in it whatever is ignored', async () => {
    api.on('PUT /v1/functions/docker', ndjson([deployed]));
    const folder = await makeFolder('docker', {
      Dockerfile: 'FROM node24\n',
      '.dockerignore': '*\n',
      'ignored.txt': '',
      'wafer.json': '{}',
    });
    const { code, stderr } = await wafer(['deploy'], { cwd: folder });
    expect(code, stderr).toBe(0);
    expect(stderr).toMatch(/Sending 3 files .* to be built by Dockerfile/);
    const { config, archive } = lastUpload();
    expect(config).toEqual({ name: 'docker', dockerfile: 'Dockerfile' });
    const tar = gunzipSync(archive).toString('latin1');
    expect(tar).toContain('wafer.json');
    expect(tar).not.toContain('ignored.txt');
  });

  test('--image sends the reference alone, shows the pull, and takes the name of the image', async () => {
    const digest = `sha256:${'ab'.repeat(32)}`;
    const layer = { type: 'layer', digest, total: 2048 };
    const events = [
      { type: 'step', step: 'pull image', state: 'start' },
      { ...layer, state: 'fetching', bytes: 0 },
      { ...layer, state: 'done', bytes: 2048 },
      { type: 'step', step: 'pull image', state: 'done', ms: 5 },
      deployed,
    ];
    api.on('PUT /v1/functions/my-app', ndjson(events));
    const { code, stdout, stderr } = await wafer(['deploy', '--image', 'registry.example:5000/team/My_App:1.2']);
    expect(code, stderr).toBe(0);
    expect(stderr).toMatch(/abababababab done \(2\.0 KiB\)\n✓ pull image {2}5\.00 ms/);
    expect(stdout).toContain('my-app v4 is live');
    const sent = JSON.parse(api.seen.at(-1)!.body.toString());
    expect(sent).toEqual({ image: 'registry.example:5000/team/My_App:1.2', config: {} });
  });

  test('--image takes a name, and settings from a file', async () => {
    api.on('PUT /v1/functions/named', ndjson([deployed]));
    await makeFolder('settings', { 'app.json': '{ "memoryMb": 64, }' });
    const { code, stderr } = await wafer(['deploy', '--image', 'app', 'named', '--config', 'settings/app.json']);
    expect(code, stderr).toBe(0);
    expect(JSON.parse(api.seen.at(-1)!.body.toString())).toEqual({ image: 'app', config: { memoryMb: 64 } });
  });

  test.each([
    [['deploy', '--config', 'x.json'], /--config is for --image/],
    [['deploy', '--image', 'app', '--config', 'no-such.json'], /no-such\.json/],
    [['deploy', 'nowhere'], /nowhere/],
    [['deploy', 'one', '--name', 'Not_A_Name'], /Not_A_Name/],
  ])('%j is refused with exit code 2', async (args, message) => {
    const { code, stderr } = await wafer(args);
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
  });
});

describe('init', () => {
  test.each([
    ['node', ['README.md', 'index.mjs', 'wafer.json', 'wafer.schema.json']],
    ['node-ts', ['README.md', 'index.ts', 'tsconfig.json', 'wafer.json', 'wafer.schema.json']],
    ['python', ['README.md', 'main.py', 'wafer.json', 'wafer.schema.json']],
    ['http', ['README.md', 'server.mjs', 'wafer.json', 'wafer.schema.json']],
  ])('--template %s makes a folder that is named and complete', async (template, files) => {
    const { code } = await wafer(['init', `My ${template}`, '--template', template]);
    expect(code).toBe(0);
    const folder = join(home, `My ${template}`);
    expect((await readdir(folder)).sort()).toEqual(files);
    const config = JSON.parse(await readFile(join(folder, 'wafer.json'), 'utf8'));
    expect(config).toMatchObject({ $schema: './wafer.schema.json', name: `my-${template}` });
    expect(await readFile(join(folder, 'README.md'), 'utf8')).not.toContain('__NAME__');
  });

  test('the node template answers with a greeting', async () => {
    await cp(join(home, 'My node', 'index.mjs'), join(home, 'handler.mjs'));
    const script = `import { handler } from './handler.mjs'; process.stdout.write(JSON.stringify(await handler({ name: 'Ada' }, {})).concat('\\n'));`;
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script], { cwd: home });
    expect(stdout).toContain('Hello, Ada!');
  });

  test('a folder that is not empty stays as it is, exit code 2', async () => {
    const folder = await makeFolder('full', { 'keep.txt': 'mine' });
    const { code, stderr } = await wafer(['init', 'full']);
    expect(code).toBe(2);
    expect(stderr).toContain('keep.txt');
    expect(await readdir(folder)).toEqual(['keep.txt']);
  });
});
