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
    expect(JSON.parse(last().body.toString())).toEqual({ all: true, buildCache: false });
    await image(['prune', '--build-cache']);
    expect(JSON.parse(last().body.toString())).toEqual({ all: false, buildCache: true });
    const buildCache = { entries: 7, bytes: 5120, onlyBytes: 2048 };
    const each = [{ digest: DIGEST, tags: [NAME], bytes: 3072, sharedBytes: 1024, uniqueBytes: 2048 }];
    api.on(
      'GET /v1/images/df',
      json({
        images: 1,
        layers: 2,
        blobsBytes: 4096,
        unpackedBytes: 9000,
        sharedBytes: 1024,
        uniqueBytes: 2048,
        buildCache,
        each,
      }),
    );
    expect((await image(['df'])).stdout).toMatch(
      /3\.0 KiB +1\.0 KiB +2\.0 KiB[\s\S]*4\.0 KiB on disk[\s\S]*build cache +7 steps with 5\.0 KiB; 2\.0 KiB of it/,
    );
  });
});

describe('roots', () => {
  test('import sends a file or stdin, with name, comment and every change; export writes it', async () => {
    const made = { digest: DIGEST, tags: ['app:flat'], bytes: 1024 };
    api.on('POST /v1/images/import', json(made));
    await writeFile(join(home, 'root.tar'), 'a root');
    const changes = ['-c', 'CMD ["/bin/sh", "-c"]', '--change', 'ENV A=b&c'];
    const { code, stdout } = await image(['import', 'root.tar', 'app:flat', '-m', 'from tape', ...changes]);
    expect([code, stdout]).toEqual([0, '✓ app:flat abababababab has one layer of 1.0 KiB.\n']);
    const sent = new URL(last().url, 'http://x').searchParams;
    expect([sent.get('tag'), sent.get('message'), sent.getAll('change')]).toEqual([
      'app:flat',
      'from tape',
      ['CMD ["/bin/sh", "-c"]', 'ENV A=b&c'],
    ]);
    expect(last().body.toString()).toBe('a root');
    await image(['import', '-'], { input: 'from stdin' });
    expect([last().url, last().body.toString()]).toEqual(['/v1/images/import', 'from stdin']);
    await image(['import', '-', '-c', 'USER x'], { input: '' });
    expect(last().url).toBe('/v1/images/import?change=USER%20x');
    api.on(`GET /v1/images/${encodeURIComponent(NAME)}/export`, (_request, response) => void response.end('a root'));
    expect((await image(['export', NAME])).stdout).toBe('a root');
    await image(['export', NAME, '-o', 'out.tar']);
    expect(await readFile(join(home, 'out.tar'), 'utf8')).toBe('a root');
  });
});

describe('search', () => {
  const found = { registry: 'r.example', repositories: ['team/app', 'team/app2'], isCut: true };

  test('prints whole names, and says on stderr when there are more', async () => {
    api.on('GET /v1/images/search', json(found));
    const { stdout, stderr } = await image(['search', 'app', '-r', 'r.example', '--limit', '2']);
    expect([stdout, stderr]).toEqual([
      'r.example/team/app\nr.example/team/app2\n',
      'These are the first 2 names; --limit shows more.\n',
    ]);
    expect(last().url).toBe('/v1/images/search?term=app&limit=2&registry=r.example');
    expect((await image(['search', 'app', '--limit', 'x'])).code).toBe(2);
  });
});

describe('tree', () => {
  const id = (digit: string) => `sha256:${digit.repeat(64)}`;
  const at = (chain: string, parent: string | null, createdBy: string, images: number) => ({
    chainId: id(chain),
    parent: parent === null ? null : id(parent),
    diffId: id(chain),
    bytes: 1024,
    tarBytes: 2048,
    createdBy,
    images,
  });
  const one = (digit: string, top: string, tags: string[], functions: object[] = []) => ({
    digest: id(digit),
    tags,
    functions,
    top: id(top),
    layers: 1,
    bytes: 3072,
    ownBytes: digit === '9' ? 0 : 1024,
  });
  const tree = {
    layers: [
      at('1', null, 'base', 3),
      at('2', '1', 'apt', 2),
      at('3', '2', 'COPY a', 1),
      at('4', '3', 'COPY \u001b[2Jb', 1),
      at('5', '2', 'code', 1),
      at('6', null, 'other', 1),
    ],
    images: [
      one('9', '1', ['node24']),
      one('a', '4', ['app:1', 'app:latest']),
      one(
        'b',
        '5',
        ['functions/hello@0123'],
        [
          { name: 'hello', version: 3 },
          { name: 'hello', version: 4 },
        ],
      ),
      one('c', '6', []),
    ],
  };

  test('draws layers over layers, with images where they end and functions by name and version', async () => {
    api.on('GET /v1/images/tree', json(tree));
    const { stdout } = await image(['tree']);
    expect(stdout).toBe(
      [
        '111111111111  1.0 KiB  base  in 3 images',
        '├─ node24 999999999999  3.0 KiB, all of it shared',
        '└─ 222222222222  1.0 KiB  apt  in 2 images',
        '   ├─ 444444444444  2.0 KiB  2 layers, the last: COPY b',
        '   │  └─ app:1, app:latest aaaaaaaaaaaa  3.0 KiB, 1.0 KiB its own',
        '   └─ 555555555555  1.0 KiB  code',
        '      └─ function hello 3, 4 bbbbbbbbbbbb  3.0 KiB, 1.0 KiB its own',
        '666666666666  1.0 KiB  other',
        '└─ (no name) cccccccccccc  3.0 KiB, 1.0 KiB its own',
        '',
        '4 images of 12 KiB on 6 layers of 6.0 KiB.',
        '',
      ].join('\n'),
    );
    expect((await image(['tree', NAME, '--layers'])).stdout).toContain('333333333333  1.0 KiB  COPY a');
    expect(last().url).toBe(`/v1/images/tree?image=${encodeURIComponent(NAME)}`);
    expect(JSON.parse((await image(['tree', '--json'])).stdout)).toEqual(tree);
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
