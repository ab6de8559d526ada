import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EXPLANATION } from '../../../services/api/openapi/examples.ts';
import { CLI } from '../../helpers/paths.ts';
import { type CliOptions, runCli, startCli } from '../../helpers/run-cli.ts';
import { aContainer } from '../../unit/cli/containers.ts';
import { type ApiServer, json, KEY, ndjson, problem, record, startApiServer, version } from './api-server.ts';

let api: ApiServer;
let home: string;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'wafer-cli-'));
  api = await startApiServer();
  api.on(
    'GET /v1/functions',
    json({ functions: [record(2), { ...record(1), name: 'other', aliases: { live: 1, beta: 3 } }] }),
  );
  api.on('GET /v1/functions/hello', json({ ...record(2), live: version(2) }));
  api.on(
    'GET /v1/functions/hello/versions',
    json({ versions: [version(1), version(2), version(3)], aliases: { live: 3 } }),
  );
});

afterAll(async () => {
  await api.close();
  await rm(home, { recursive: true, force: true });
});

test('a build leaves a command that can be executed, whoever links it', async () => {
  const { stdout } = await promisify(execFile)(CLI, ['--version']);
  expect(stdout).toMatch(/^\d+\.\d+\.\d+$/m);
});

const wafer = (args: readonly string[], options: CliOptions = {}) =>
  runCli(args, { ...options, env: { HOME: home, WAFER_URL: api.url, WAFER_KEY: KEY, ...options.env } });

const timing = {
  'server-timing': 'queue;dur=0.1, sandbox;dur=0, attach;dur=0.4, boot;dur=0, init;dur=1, handler;dur=2.5',
  'x-wafer-start': 'blank',
  'x-wafer-invocation': 'inv_1',
};

describe('the command line', () => {
  test('"wafer" alone shows every command and where to start', async () => {
    const { code, stdout } = await wafer([]);
    expect(code).toBe(0);
    for (const text of ['Start here', 'wafer up', 'deploy', 'rollback', 'doctor', 'ps']) expect(stdout).toContain(text);
  });

  test('--version prints the version of package.json', async () => {
    const { version: wanted } = JSON.parse(await readFile('package.json', 'utf8'));
    expect((await wafer(['--version'])).stdout).toBe(`${wanted}\n`);
  });

  test.each([[['deploy', '--help']], [['help', 'deploy']], [['deploy', '-h']]])(
    '%j shows flags and examples',
    async (args) => {
      const { code, stdout } = await wafer(args);
      expect(code).toBe(0);
      expect(stdout).toMatch(/wafer deploy \[DIR\] \[flags\][\s\S]*--name NAME[\s\S]*Examples/);
    },
  );

  test.each([
    [['lsit'], 'wafer list'],
    [['delete', 'x'], 'wafer rm'],
    [['list', '--jsn'], '--json'],
    [['init', '--template', 'pyton'], 'python'],
  ])('%j is refused with a suggestion and exit code 2', async (args, suggestion) => {
    const { code, stdout, stderr } = await wafer(args);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toMatch(new RegExp(`Did you mean "?${suggestion}"?\\?`));
  });

  test('a platform that is not there is one line with the fix, exit code 3', async () => {
    const { code, stderr } = await wafer(['list'], { env: { WAFER_URL: 'http://127.0.0.1:1' } });
    expect(code).toBe(3);
    expect(stderr).toMatch(
      /^error: No Wafer platform answers at http:\/\/127.0.0.1:1: nothing listens there\.\n {2}fix: .*wafer up.*\n$/,
    );
  });

  test('a wrong key says where it came from, exit code 3', async () => {
    const { code, stderr } = await wafer(['list'], { env: { WAFER_KEY: 'wrong' } });
    expect(code).toBe(3);
    expect(stderr).toContain('The key came from WAFER_KEY');
  });

  test('the key is read from admin.key in the data directory', async () => {
    const data = await mkdtemp(join(home, 'data-'));
    await writeFile(join(data, 'admin.key'), `${KEY}\n`, { mode: 0o600 });
    const { code } = await wafer(['list'], { env: { WAFER_KEY: '', WAFER_DATA: data } });
    expect(code).toBe(0);
  });

  test('a server that is not a Wafer API is told so', async () => {
    api.on('GET /v1/images', (_request, response) => response.end('<html>'));
    const { code, stderr } = await wafer(['images']);
    expect(code).toBe(3);
    expect(stderr).toContain('is it a Wafer API?');
  });

  test('with --json an error is one JSON line on stderr', async () => {
    api.on('GET /v1/functions/nope', problem('function_not_found', 'There is no function nope.'));
    const { code, stdout, stderr } = await wafer(['describe', 'nope', '--json']);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(JSON.parse(stderr)).toMatchObject({
      error: { code: 'function_not_found', message: 'There is no function nope.' },
    });
  });
});

describe('reading', () => {
  test('list prints a table, and the same as JSON', async () => {
    const table = await wafer(['list']);
    expect(table.stdout).toMatch(/^NAME +LIVE +LATEST/);
    expect(table.stdout).toMatch(/hello +v2 +v3 +\d+ d ago/);
    expect(table.stdout).toMatch(/other +v1 +v3 +beta → v3/);
    const machine = await wafer(['list', '--json']);
    expect(JSON.parse(machine.stdout).map(({ name }: { name: string }) => name)).toEqual(['hello', 'other']);
  });

  test('describe shows settings and how to call, never the key or a value of env', async () => {
    const { stdout } = await wafer(['describe', 'hello']);
    expect(stdout).toContain('index.handler');
    expect(stdout).toContain('GREETING');
    expect(stdout).toContain(`${api.url}/v1/functions/hello/invoke`);
    expect(stdout).not.toContain(KEY);
    expect(stdout).not.toMatch(/\bhi\b/);
  });

  test('versions are listed newest first with their aliases', async () => {
    const { stdout } = await wafer(['versions', 'hello']);
    expect(stdout.match(/^v\d/gm)).toEqual(['v3', 'v2', 'v1']);
    expect(stdout).toMatch(/v3 +live +333333333333/);
  });

  test('images shows what is shared and what the store really holds', async () => {
    const layer = (id: string, bytes: number, sharedBy: number) => ({
      diffId: `sha256:${id.repeat(64)}`,
      bytes,
      createdBy: `step ${id}`,
      createdAt: 1,
      sharedBy,
    });
    const base = layer('a', 4096, 2);
    const images = [
      { digest: `sha256:${'1'.repeat(64)}`, tags: ['node24'], bytes: 4096, layers: [base] },
      { digest: `sha256:${'2'.repeat(64)}`, tags: [], bytes: 5120, layers: [base, layer('b', 1024, 1)] },
    ];
    api.on('GET /v1/images', json({ images }));
    const { stdout } = await wafer(['images']);
    expect(stdout).toMatch(/\(none\) +222222222222 +2 +5\.0 KiB +4\.0 KiB +1\.0 KiB/);
    expect(stdout).toContain('2 images of 9.0 KiB take 5.0 KiB');
    expect((await wafer(['images', '--layers'])).stdout).toMatch(/aaaaaaaaaaaa +4\.0 KiB +step a +in 2 images/);
  });

  test('ps lists containers and instances, each in a table', async () => {
    const instance = {
      id: 'i1',
      functionName: 'hello',
      version: 2,
      state: 'busy',
      pid: 42,
      hostUid: 104_200,
      startedAt: 1,
      calls: 7,
      inFlight: 1,
      memoryBytes: null,
    };
    api.on('GET /v1/instances', json({ instances: [instance] }));
    api.on('GET /v1/containers', json({ containers: [] }));
    expect((await wafer(['ps'])).stdout).toMatch(/i1 +hello +v2 +busy +7 +1 +\? +104200 +42/);
    const container = aContainer({ status: 'running', startedAt: Date.now() - 5000 });
    api.on('GET /v1/containers', json({ containers: [container] }));
    const both = (await wafer(['ps', '-a'])).stdout;
    expect(both).toMatch(/c0ffee0c0ffe +web +debian12 +sleep 60 +running \d+ s\n/);
    expect(both).toContain('i1');
    expect(api.seen.some(({ url }) => url === '/v1/containers?all=true')).toBe(true);
    expect((await wafer(['ps', '-q', '--filter', 'name=we'])).stdout).toBe(`${container.id}\n`);
    expect((await wafer(['ps', '--filter', 'name=other'])).stdout).toBe('No container is like that.\n');
  });

  test('config prints every setting with its value, and hides passwords', async () => {
    const { stdout } = await wafer(['config', '--json'], {
      env: { WAFER_PORT: '8080', WAFER_REDIS_URL: 'redis://u:hunter2@h:1/0' },
    });
    expect(stdout).not.toContain('hunter2');
    expect(stdout).not.toContain(KEY);
    expect(JSON.parse(stdout)).toContainEqual(expect.objectContaining({ env: 'WAFER_PORT', value: 8080, isSet: true }));
  });
});

describe('explain', () => {
  const path = 'GET /v1/functions/hello/explain';

  test('draws the phases of each kind of start on one scale, without those that never were, and says what would help', async () => {
    api.on(path, json(EXPLANATION));
    const { code, stdout } = await wafer(['explain', 'hello']);
    expect(code).toBe(0);
    const lines = stdout.split('\n');
    expect(lines[0]).toBe('hello  v3 · node on node24');
    expect(stdout).toMatch(/blank +p50 +p99 +4 calls[\s\S]*warm +p50 +p99 +211 calls/);
    expect(lines.filter((line) => /^ {2}(sandbox|boot)/.test(line))).toEqual([]);
    const bars = lines.filter((line) => line.startsWith('  handler')).map((line) => line.replace(/[^█]/g, '').length);
    expect(bars).toEqual([14, 6]);
    expect(stdout).toMatch(/Starts +1 first call of the version, 3 ended without calls for a while/);
    expect(stdout).toMatch(/What would help\n• 3 starts because[^•]*\n {2}"minInstances": 1 keeps/);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(100);
  });

  test('asks for the version, and prints all of it as JSON', async () => {
    const { stdout } = await wafer(['explain', 'hello', '--version', 'v2', '--json']);
    expect(api.seen.at(-1)?.url).toBe('/v1/functions/hello/explain?version=2');
    expect(JSON.parse(stdout)).toEqual(EXPLANATION);
  });

  test('says so when there is nothing to say', async () => {
    api.on(path, json({ ...EXPLANATION, kinds: {}, causes: {}, advice: [] }));
    expect((await wafer(['explain', 'hello'])).stdout).toContain('No call of v3 is known yet');
    const { warm, blank } = EXPLANATION.kinds;
    api.on(path, json({ ...EXPLANATION, kinds: { warm }, causes: {}, advice: [] }));
    expect((await wafer(['explain', 'hello'])).stdout).toContain('found an instance that was there');
    api.on(path, json({ ...EXPLANATION, kinds: { warm, blank }, causes: { first: 1 }, advice: [] }));
    expect((await wafer(['explain', 'hello'])).stdout).toContain('Nothing stands out');
  });
});

describe('changing', () => {
  test('rollback makes the version before the live one live', async () => {
    api.on('PUT /v1/functions/hello/aliases/live', json(record(2)));
    const { code, stdout } = await wafer(['rollback', 'hello']);
    expect(code).toBe(0);
    expect(stdout).toContain('hello v2 is live; it was v3.');
    expect(JSON.parse(api.seen.at(-1)!.body.toString())).toEqual({ version: 2 });
  });

  test('rollback --to takes any version', async () => {
    await wafer(['rollback', 'hello', '--to', 'v1']);
    expect(JSON.parse(api.seen.at(-1)!.body.toString())).toEqual({ version: 1 });
  });

  test('rollback without an earlier version changes nothing, exit code 2', async () => {
    api.on('GET /v1/functions/first/versions', json({ versions: [version(1)], aliases: { live: 1 } }));
    const before = api.seen.length;
    const { code, stderr } = await wafer(['rollback', 'first']);
    expect(code).toBe(2);
    expect(stderr).toContain('no version before v1');
    expect(api.seen.slice(before).every(({ method }) => method === 'GET')).toBe(true);
  });

  test('logs and rm refuse a name that a function and a container have, until it is said which is meant', async () => {
    const twin = aContainer({ name: 'hello' });
    const { id } = twin;
    api.on('GET /v1/containers/hello', json(twin));
    api.on(`DELETE /v1/containers/${id}`, (_request, response) => response.writeHead(204).end());
    api.on(`GET /v1/containers/${id}/logs`, ndjson([{ time: 1, stream: 'stdout', text: 'from the container' }]));
    api.on('GET /v1/functions/hello/logs', ndjson([]));
    for (const words of [
      ['logs', 'hello'],
      ['rm', '-y', 'hello'],
    ]) {
      const { code, stderr } = await wafer(words);
      expect([code, stderr]).toEqual([2, expect.stringContaining('A function and a container are called hello.')]);
      expect(stderr).toContain('--container');
    }
    expect((await wafer(['logs', 'hello', '--container'])).stdout).toBe('from the container\n');
    expect((await wafer(['logs', 'hello', '--function'])).stderr).toContain('wrote nothing');
    expect((await wafer(['rm', '--container', 'hello'])).stdout).toContain('hello was removed');
    expect(api.seen.at(-1)).toMatchObject({ method: 'DELETE', url: `/v1/containers/${id}` });
    api.on('GET /v1/containers/hello', problem('container_not_found', 'There is no container hello.'));
  });

  test('rm goes on after a name that is not there, and says so with its exit code', async () => {
    const web = aContainer({ name: 'web' });
    api.on('GET /v1/containers/web', json(web));
    api.on(`DELETE /v1/containers/${web.id}`, (_request, response) => response.writeHead(204).end());
    const { code, stdout, stderr } = await wafer(['rm', '-f', 'nobody', 'web']);
    expect([code, stdout]).toEqual([2, expect.stringContaining('web was removed')]);
    expect(stderr).toContain('There is no function and no container nobody.');
    expect(api.seen.at(-1)!.url).toBe(`/v1/containers/${web.id}?force=true`);
  });

  test('rm without --yes and without a terminal removes nothing; with --yes it does', async () => {
    api.on('DELETE /v1/functions/hello', (_request, response) => response.writeHead(204).end());
    const before = api.seen.length;
    const refused = await wafer(['rm', 'hello']);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain('--yes');
    expect(api.seen.slice(before).some(({ method }) => method === 'DELETE')).toBe(false);
    const removed = await wafer(['rm', 'hello', '--yes']);
    expect(removed.code).toBe(0);
    expect(removed.stdout).toContain('removed with 3 versions');
    expect(api.seen.at(-1)!.method).toBe('DELETE');
  });
});

describe('invoke', () => {
  test('sends the event and prints the result alone on stdout', async () => {
    api.on('POST /v1/functions/hello/invoke', (request, response) => {
      response.writeHead(200, { 'content-type': 'application/json', ...timing }).end(request.body);
    });
    const { code, stdout, stderr } = await wafer(['invoke', 'hello', '--data', '{"name":"Ada"}', '--alias', 'beta']);
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: '{"name":"Ada"}\n', stderr: '' });
    expect(api.seen.at(-1)!.url).toBe('/v1/functions/hello/invoke?alias=beta');
    expect(api.seen.at(-1)!.headers['content-type']).toBe('application/json');
  });

  test('without an event it sends {}', async () => {
    expect((await wafer(['invoke', 'hello'])).stdout).toBe('{}\n');
  });

  test('takes the event from a file, and from stdin with -', async () => {
    const file = join(home, 'event.json');
    await writeFile(file, '{"from":"file"}');
    expect((await wafer(['invoke', 'hello', '-d', `@${file}`])).stdout).toBe('{"from":"file"}\n');
    expect((await wafer(['invoke', 'hello', '-d', '-'], { input: '[1]' })).stdout).toBe('[1]\n');
  });

  test.each([['--wait'], ['--delay', '10m'], ['--idempotency-key', 'k1'], ['--callback', 'https://example.com/']])(
    '%s without --async is refused before anything is sent: the call would run now',
    async (...flag) => {
      const before = api.seen.length;
      const { code, stderr } = await wafer(['invoke', 'hello', ...flag]);
      expect(code).toBe(2);
      expect(stderr).toContain(`${flag[0]} is for calls that run later`);
      expect(stderr).toContain('Add --async');
      expect(api.seen).toHaveLength(before);
    },
  );

  test('an event that is not JSON is refused before anything is sent', async () => {
    const before = api.seen.length;
    const { code, stderr } = await wafer(['invoke', 'hello', '--data', '{name:Ada}']);
    expect(code).toBe(2);
    expect(stderr).toContain('is not JSON');
    expect(api.seen.length).toBe(before);
  });

  test('--include adds status, start kind and one bar a phase on stderr', async () => {
    const { stdout, stderr } = await wafer(['invoke', 'hello', '-i']);
    expect(stdout).toBe('{}\n');
    expect(stderr).toMatch(/^200 {2}blank start {2}4\.00 ms {2}inv_1$/m);
    expect(stderr).toMatch(/^ {2}handler +2\.50 ms {2}█{25}$/m);
    expect(stderr).toMatch(/^ {2}boot +0\.00 ms$/m);
  });

  test('--json prints result and receipt in one object', async () => {
    const { stdout } = await wafer(['invoke', 'hello', '--json']);
    expect(JSON.parse(stdout)).toMatchObject({
      status: 200,
      start: 'blank',
      invocation: 'inv_1',
      phases: { handler: 2.5 },
      result: {},
    });
  });

  test('bytes go through unchanged, and into a file with --output', async () => {
    const bytes = Buffer.from([0x89, 0x50, 0x00, 0xff, 0x0d, 0x0a]);
    api.on('POST /v1/functions/picture/invoke', (_request, response) =>
      response.writeHead(200, { 'content-type': 'image/png' }).end(bytes),
    );
    expect((await wafer(['invoke', 'picture'])).stdoutBytes).toEqual(bytes);
    await wafer(['invoke', 'picture', '-o', 'out.png'], { cwd: home });
    expect(await readFile(join(home, 'out.png'))).toEqual(bytes);
  });

  test('a failing function is told with message, stack and where its output is; exit code 1', async () => {
    const details = {
      errorType: 'TypeError',
      stack: 'TypeError: x is not a function\n    at handler (/function/index.mjs:3:9)',
    };
    api.on('POST /v1/functions/broken/invoke', problem('function_error', 'x is not a function', { details }, timing));
    const { code, stdout, stderr } = await wafer(['invoke', 'broken']);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain('broken: TypeError: x is not a function\n    at handler (/function/index.mjs:3:9)\n');
    expect(stderr).toContain('wafer logs broken --invocation inv_1');
  });

  test('control characters in an error of a function do not reach the terminal', async () => {
    api.on('POST /v1/functions/evil/invoke', problem('function_error', 'boom\u001b]0;owned\u0007\u001b[2J'));
    const { stderr } = await wafer(['invoke', 'evil']);
    expect(stderr).toContain('boom');
    for (const bad of ['\u001b', '\u0007', 'owned']) expect(stderr).not.toContain(bad);
  });

  test('a busy platform is not a failing function: exit code 3', async () => {
    api.on('POST /v1/functions/busy/invoke', problem('overloaded', 'Too many calls are waiting.'));
    expect((await wafer(['invoke', 'busy'])).code).toBe(3);
  });
});

describe('logs', () => {
  const line = (text: string, stream = 'stdout') => ({
    time: 1_700_000_000_000,
    functionName: 'hello',
    version: 2,
    instanceId: 'i1',
    invocationId: 'inv_1',
    stream,
    text,
  });

  test('prints the lines with time, version and invocation', async () => {
    api.on('GET /v1/functions/hello/logs', ndjson([line('one'), line('two\n', 'stderr')]));
    const { code, stdout } = await wafer(['logs', 'hello', '--invocation', 'inv_1', '--since', '10m', '--limit', '5']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^\d\d:\d\d:\d\d\.\d{3} {2}v2 {2}inv_1 +one\n.*two\n$/);
    const url = new URL(api.seen.at(-1)!.url, api.url);
    expect(Object.fromEntries(url.searchParams)).toMatchObject({ invocation: 'inv_1', limit: '5' });
    expect(Date.now() - Number(url.searchParams.get('since'))).toBeGreaterThanOrEqual(600_000);
  });

  test('--json prints one object a line', async () => {
    const { stdout } = await wafer(['logs', 'hello', '--json']);
    expect(
      stdout
        .trim()
        .split('\n')
        .map((text) => JSON.parse(text).text),
    ).toEqual(['one', 'two\n']);
  });

  test('--follow prints lines as they come and ends well on Ctrl-C', async () => {
    api.on('GET /v1/functions/hello/logs', ndjson([line('first')], false));
    const cli = startCli(['logs', 'hello', '--follow'], { env: { HOME: home, WAFER_URL: api.url, WAFER_KEY: KEY } });
    await cli.waitFor('first');
    cli.child.kill('SIGINT');
    const { code, signal, stderr } = await cli.ended;
    expect({ code, signal, stderr }).toEqual({ code: 0, signal: null, stderr: '' });
    expect(api.seen.at(-1)!.url).toBe('/v1/functions/hello/logs?follow=true');
  });

  test('a connection that breaks while following is an error, exit code 3', async () => {
    api.on('GET /v1/functions/hello/logs', (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/x-ndjson' });
      response.write(`${JSON.stringify(line('first'))}\n`, () => response.destroy());
    });
    expect((await wafer(['logs', 'hello', '--follow'])).code).toBe(3);
  });

  test('a reader that leaves early is no error', async () => {
    api.on('GET /v1/functions/hello/logs', ndjson(Array.from({ length: 20_000 }, () => line('x'.repeat(100)))));
    const cli = startCli(['logs', 'hello'], { env: { HOME: home, WAFER_URL: api.url, WAFER_KEY: KEY } });
    await cli.waitFor('xxx');
    cli.child.stdout?.destroy();
    const { code, stderr } = await cli.ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });
});
