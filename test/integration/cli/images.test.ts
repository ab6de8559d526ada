import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { toProblem, WaferError } from '../../../services/core/errors.ts';
import { type CliOptions, runCli } from '../../helpers/run-cli.ts';
import { type ApiServer, json, KEY, ndjson, problem, startApiServer } from './api-server.ts';

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

const image = (args: readonly string[], options: CliOptions = {}) =>
  runCli(['image', ...args], {
    cwd: home,
    ...options,
    env: { HOME: home, WAFER_URL: api.url, WAFER_KEY: KEY, ...options.env },
  });

const NAME = 'registry.example/team/app:v1';
const DIGEST = `sha256:${'ab'.repeat(32)}`;
const layer = (state: string, bytes: number) => ({ type: 'layer', digest: DIGEST, state, bytes, total: 2048 });
const done = (result: object) => ({ type: 'done', result });
const last = () => api.seen.at(-1)!;

describe('the group', () => {
  test.each([[[]], [['--help']]])('image %j lists its commands', async (args) => {
    const { code, stdout } = await image(args);
    expect(code).toBe(0);
    for (const name of ['pull', 'push', 'history', 'logout']) expect(stdout).toMatch(new RegExp(`^  ${name} `, 'm'));
  });

  test('a command in it has its own help', async () => {
    const { stdout } = await image(['pull', '--help']);
    expect(stdout).toMatch(/wafer image pull REFERENCE \[flags\]/);
    expect((await runCli(['help', 'image', 'save'], { env: { HOME: home } })).stdout).toContain(
      '--format oci-archive|docker-archive',
    );
  });

  test.each([
    [['pul', 'x'], 'wafer image pull'],
    [['remove', 'x'], 'wafer image rm'],
  ])('%j is refused with a suggestion', async (args, suggestion) => {
    const { code, stderr } = await image(args);
    expect([code, stderr]).toEqual([2, expect.stringContaining(`Did you mean "${suggestion}"?`)]);
  });

  test('ls is what "wafer images" is', async () => {
    api.on('GET /v1/images', json({ images: [{ digest: DIGEST, tags: [NAME], bytes: 1, layers: [] }] }));
    expect((await image(['ls'])).stdout).toContain(NAME);
  });
});

describe('transfers', () => {
  test('pull says which layers came, and what the image is', async () => {
    api.on(
      'POST /v1/images/pull',
      ndjson([
        layer('fetching', 0),
        layer('fetching', 900),
        layer('done', 2048),
        done({ digest: DIGEST, name: NAME, isNew: true }),
      ]),
    );
    const { code, stdout, stderr } = await image(['pull', NAME]);
    expect([code, stderr]).toEqual([0, '  abababababab done (2.0 KiB)\n']);
    expect(stdout).toMatch(new RegExp(`✓ ${NAME} abababababab came in`));
    expect(JSON.parse(last().body.toString())).toEqual({ reference: NAME });
  });

  test('on a terminal each layer has a bar that is drawn again in its place', async () => {
    const { createUi } = await import('../../../services/cli/ui.ts');
    const { showTransfer } = await import('../../../services/cli/transfer-progress.ts');
    let text = '';
    const write = (chunk: string | Uint8Array) => {
      text += chunk;
      return true;
    };
    const terminal = { isTTY: true, write };
    const ui = createUi({ write: () => true }, terminal, { NO_COLOR: '1' });
    const lines = (async function* () {
      yield { type: 'layer' as const, digest: DIGEST, state: 'fetching' as const, bytes: 1024, total: 2048 };
      yield { type: 'layer' as const, digest: DIGEST, state: 'done' as const, bytes: 2048, total: 2048 };
      yield { type: 'done' as const, result: 5 };
    })();
    expect(await showTransfer(lines, ui, '')).toBe(5);
    expect(text).toContain(`${'█'.repeat(12)}${'░'.repeat(12)} 1.0 KiB of 2.0 KiB`);
    expect(text).toContain(`\u001b[1A\u001b[J\u001b[?7l  abababababab ${'█'.repeat(24)}`);
    expect(text.endsWith('\u001b[1A\u001b[J')).toBe(true);
  });

  test('a failure in the middle is the error, with its hint and exit code', async () => {
    const failure = toProblem(new WaferError('registry_denied', 'The registry says no.', { hint: 'log in' }));
    api.on('POST /v1/images/push', ndjson([layer('sending', 5), { type: 'failed', problem: failure }]));
    const { code, stderr } = await image(['push', NAME, 'registry.example/b:v2']);
    expect([code, stderr]).toEqual([3, 'error: The registry says no.\n  fix: log in\n']);
    expect(JSON.parse(last().body.toString())).toEqual({ image: NAME, as: 'registry.example/b:v2' });
  });

  test('a connection that ends too early is no success', async () => {
    api.on('POST /v1/images/pull', ndjson([layer('fetching', 5)]));
    const { code, stderr } = await image(['pull', NAME]);
    expect([code, stderr]).toEqual([3, expect.stringContaining('ended before the transfer did')]);
  });

  test('save writes a file, or stdout byte by byte; load sends a file, or stdin', async () => {
    const bytes = Buffer.from([0, 255, 10, 13, 128]);
    api.on(`GET /v1/images/${encodeURIComponent(NAME)}/save`, (_request, response) => void response.end(bytes));
    await image(['save', NAME, '-o', 'a.tar']);
    expect(last().url).toContain('?format=oci-archive');
    expect((await readFile(join(home, 'a.tar'))).equals(bytes)).toBe(true);
    expect((await image(['save', NAME])).stdoutBytes.equals(bytes)).toBe(true);
    api.on('POST /v1/images/load', ndjson([done({ images: [{ digest: DIGEST, tags: [NAME] }] })]));
    const { stdout } = await image(['load', '-i', 'a.tar']);
    expect([stdout, last().body.equals(bytes)]).toEqual([expect.stringContaining(NAME), true]);
    await image(['load'], { input: 'from stdin' });
    expect(last().body.toString()).toBe('from stdin');
  });

  test('save of what breaks off leaves no file', async () => {
    api.on(`GET /v1/images/${encodeURIComponent(NAME)}/save`, (_request, response) => {
      response.writeHead(200, { 'content-length': 1000 }).write('x', () => response.destroy());
    });
    const { code } = await image(['save', NAME, '-o', 'b.tar']);
    expect([code, existsSync(join(home, 'b.tar'))]).toEqual([3, false]);
    await writeFile(join(home, 'kept'), '');
    expect((await image(['load', '-i', 'missing.tar'])).code).toBe(2);
  });
});

describe('one image', () => {
  const detail = {
    digest: DIGEST,
    tags: [NAME],
    os: 'linux',
    architecture: 'amd64',
    bytes: 3072,
    config: { Cmd: ['sh', '\u001b[2J'], Env: null },
    layers: [{ diffId: `sha256:${'1'.repeat(64)}`, parent: null, bytes: 3072, createdBy: 'COPY . /' }],
    history: [
      { createdBy: 'COPY . /', layer: `sha256:${'1'.repeat(64)}`, parent: null, bytes: 3072 },
      { createdBy: 'CMD ["sh"]', layer: null, parent: null, bytes: 0 },
    ],
  };

  test('inspect shows it without control characters; history shows the newest step first', async () => {
    api.on(`GET /v1/images/${encodeURIComponent(NAME)}`, json(detail));
    const { stdout } = await image(['inspect', NAME]);
    expect(stdout).not.toContain('\u001b');
    expect(stdout).toMatch(/111111111111 +- +3\.0 KiB +COPY \. \//);
    expect((await image(['history', NAME])).stdout).toMatch(/CMD \["sh"\][\s\S]*COPY/);
  });

  test('tag, rm, prune and df say what they did', async () => {
    const url = `/v1/images/${encodeURIComponent(NAME)}`;
    api.on(`POST ${url}/tag`, json(detail));
    expect((await image(['tag', NAME, 'b:v2'])).stdout).toContain('abababababab is');
    api.on(`DELETE ${url}`, json({ untagged: [NAME], removed: DIGEST, layers: 2, bytes: 2048 }));
    expect((await image(['rm', NAME])).stdout).toContain('is gone with 2 layers: 2.0 KiB.');
    api.on('POST /v1/images/prune', json({ untagged: [], images: 1, layers: 2, bytes: 1024 }));
    expect((await image(['prune', '-a'])).stdout).toContain('1 image and 2 layers are gone: 1.0 KiB.');
    expect(JSON.parse(last().body.toString())).toEqual({ all: true });
    const each = [{ digest: DIGEST, tags: [NAME], bytes: 3072, sharedBytes: 1024, uniqueBytes: 2048 }];
    api.on(
      'GET /v1/images/df',
      json({ images: 1, layers: 2, blobsBytes: 4096, unpackedBytes: 9000, sharedBytes: 1024, uniqueBytes: 2048, each }),
    );
    expect((await image(['df'])).stdout).toMatch(/3\.0 KiB +1\.0 KiB +2\.0 KiB[\s\S]*4\.0 KiB on disk/);
  });
});

describe('login', () => {
  const route = `PUT /v1/registries/${encodeURIComponent('registry.example:5000')}`;

  test('reads the password from stdin and prints it nowhere', async () => {
    api.on(route, json({ registries: [] }));
    const { code, stdout, stderr } = await image(['login', 'registry.example:5000', '-u', 'ada', '--password-stdin'], {
      input: 'pass word\n',
    });
    expect([code, stdout + stderr]).toEqual([0, expect.not.stringContaining('pass word')]);
    expect(JSON.parse(last().body.toString())).toEqual({ username: 'ada', password: 'pass word' });
  });

  test('of a wrong password fails, and without a terminal nobody is asked', async () => {
    api.on(route, problem('registry_denied', 'Wrong.'));
    expect(
      (await image(['login', 'registry.example:5000', '-u', 'ada', '--password-stdin'], { input: 'x' })).code,
    ).toBe(3);
    const { code, stderr } = await image(['login', 'registry.example:5000']);
    expect([code, stderr]).toEqual([2, expect.stringContaining('--password-stdin')]);
    expect((await image(['login', 'registry.example:5000', '--password-stdin'], { input: 'x' })).code).toBe(2);
  });

  test('logout asks the platform to forget', async () => {
    api.on(`DELETE /v1/registries/${encodeURIComponent('registry.example:5000')}`, json({ registries: [] }));
    expect((await image(['logout', 'registry.example:5000'])).code).toBe(0);
  });
});
