/** Uploads over real sockets: what the deployer gets, what is refused, and what a client sees of a build. */
import { once } from 'node:events';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { WaferError } from '../../../services/core/errors.ts';
import type { DeployRequest } from '../../../services/core/functions/types.ts';
import { head, startApi, until } from '../../helpers/api-server.ts';

const GZIP = gzipSync(Buffer.from('not really a tar, which is for the deployer to find out'));
const ZIP = Buffer.from('PK\x03\x04 and so on', 'latin1');
const NDJSON = { accept: 'application/x-ndjson' };

type Part = [name: string, value: string | Buffer | object];
function form(...parts: Part[]): FormData {
  const data = new FormData();
  for (const [name, value] of parts) {
    if (Buffer.isBuffer(value)) data.append(name, new Blob([new Uint8Array(value)]), 'archive.tar.gz');
    else data.append(name, typeof value === 'string' ? value : JSON.stringify(value));
  }
  return data;
}

const archiveOf = ({ source }: DeployRequest) => {
  if (source.kind !== 'archive') throw new Error('no archive');
  return source;
};
const lines = async (answer: Response) =>
  (await answer.text())
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
const problem = async (answer: Response) => (await answer.json()) as { code: string; status: number; detail: string };

describe('PUT /v1/functions/{name}', () => {
  test.each([
    ['tar.gz', GZIP],
    ['zip', ZIP],
  ])('hands a %s over byte for byte, with the config, and answers 201 with the version', async (format, bytes) => {
    const { fetch, platform } = await startApi();
    const seen: unknown[] = [];
    platform.deploy = async (request) => {
      const { format: told, stream } = archiveOf(request);
      seen.push(request.name, request.config, told, (await buffer(stream)).equals(bytes));
    };
    const answer = await fetch('/v1/functions/new', {
      method: 'PUT',
      body: form(['config', { timeoutMs: 5 }], ['archive', bytes]),
    });
    expect([answer.status, answer.headers.get('location')]).toEqual([201, '/v1/functions/new']);
    expect(await answer.json()).toMatchObject({ functionName: 'new', number: 1 });
    expect(seen).toEqual(['new', { timeoutMs: 5 }, format, true]);
    expect(platform.counted).toEqual(['build ok']);
  });

  test('takes an archive without a config, and one that trickles in a byte at a time', async () => {
    const { connect, platform } = await startApi();
    let got: Buffer | undefined;
    platform.deploy = async (request) => {
      expect(request).not.toHaveProperty('config');
      got = await buffer(archiveOf(request).stream);
    };
    const client = await connect();
    const body = Buffer.concat([
      Buffer.from('--B\r\nContent-Disposition: form-data; name="archive"; filename="a"\r\n\r\n'),
      GZIP,
      Buffer.from('\r\n--B--\r\n'),
    ]);
    client.socket.setNoDelay(true);
    client.write(
      `${head('PUT /v1/functions/new', 'Content-Type: multipart/form-data; boundary=B', `Content-Length: ${body.length}`, 'Connection: close')}\r\n\r\n`,
    );
    for (const byte of body) {
      client.write(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await client.closed()).toContain('201 Created');
    expect(got?.equals(GZIP)).toBe(true);
  });

  test('takes inline files as JSON', async () => {
    const { fetch, platform } = await startApi();
    let request: DeployRequest | undefined;
    platform.deploy = async (one) => {
      request = one;
    };
    const files = { 'index.mjs': 'export {}', 'a.bin': { base64: 'AAE=' } };
    const answer = await fetch('/v1/functions/new', {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ files, config: { memoryMb: 64 } }),
    });
    expect(answer.status).toBe(201);
    expect(request).toMatchObject({ name: 'new', source: { kind: 'files', files }, config: { memoryMb: 64 } });
  });

  test.each([
    ['no files', {}],
    ['files that are none', { files: {} }],
    ['a file that is a number', { files: { a: 1 } }],
    ['files and an image', { files: { a: 'x' }, image: 'app' }],
    ['an image without a name', { image: '' }],
    ['bad base64', { files: { a: { base64: '*' } } }],
    ['an unknown key', { files: { a: 'x' }, uid: 0 }],
  ])('refuses JSON with %s', async (_what, body) => {
    const { fetch } = await startApi();
    const init = { method: 'PUT', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
    expect(await problem(await fetch('/v1/functions/new', init))).toMatchObject({
      status: 400,
      code: 'invalid_request',
    });
  });

  test('hands the name of an image and its settings to the deployer', async () => {
    const { fetch, platform } = await startApi();
    let source: unknown;
    platform.deploy = async (request) => {
      source = { ...request.source, config: request.config };
    };
    const body = JSON.stringify({ image: 'registry.example/app:1', config: { memoryMb: 64 } });
    const init = { method: 'PUT', headers: { 'content-type': 'application/json' }, body };
    expect((await fetch('/v1/functions/new', init)).status).toBe(201);
    expect(source).toEqual({ kind: 'image', reference: 'registry.example/app:1', config: { memoryMb: 64 } });
  });

  test.each([
    ['of another kind', [['archive', Buffer.from('BZh9 what is this')]], 'invalid_archive'],
    ['that is empty', [['archive', Buffer.alloc(0)]], 'invalid_archive'],
    ['of three bytes', [['archive', Buffer.from([0x50, 0x4b, 3])]], 'invalid_archive'],
    ['that is missing', [['config', {}]], 'invalid_request'],
    ['under another name', [['file', GZIP]], 'invalid_request'],
    [
      'behind an unknown field',
      [
        ['uid', '0'],
        ['archive', GZIP],
      ],
      'invalid_request',
    ],
    [
      'behind a config that is no JSON',
      [
        ['config', '{'],
        ['archive', GZIP],
      ],
      'invalid_json',
    ],
    [
      'behind two configs',
      [
        ['config', {}],
        ['config', {}],
        ['archive', GZIP],
      ],
      'invalid_request',
    ],
    [
      'behind a huge config',
      [
        ['config', ' '.repeat(300 * 1024)],
        ['archive', GZIP],
      ],
      'payload_too_large',
    ],
  ] as [string, Part[], string][])('refuses an archive %s, and builds nothing', async (_what, parts, code) => {
    const { fetch, platform } = await startApi();
    platform.deploy = async () => {
      throw new Error('was called');
    };
    const answer = await fetch('/v1/functions/new', { method: 'PUT', body: form(...parts) });
    expect((await problem(answer)).code).toBe(code);
    await expect(platform.functions.get('new')).rejects.toMatchObject({ code: 'function_not_found' });
  });

  test('cuts an archive over the limit while it comes, whatever its length says', async () => {
    const { fetch, platform } = await startApi({ limits: { archiveBytes: 100_000 } });
    platform.deploy = async (request) => void (await buffer(archiveOf(request).stream));
    const bytes = Buffer.concat([GZIP, Buffer.alloc(200_000)]);
    const answer = await fetch('/v1/functions/new', { method: 'PUT', body: form(['archive', bytes]) });
    expect(await problem(answer)).toMatchObject({ status: 413, code: 'archive_too_large' });
  });

  test('takes an archive far above the limit of JSON bodies', async () => {
    const { fetch, platform } = await startApi();
    let size = 0;
    platform.deploy = async (request) => {
      for await (const chunk of archiveOf(request).stream) size += (chunk as Buffer).length;
    };
    const bytes = Buffer.concat([GZIP, Buffer.alloc(30_000_000)]);
    expect((await fetch('/v1/functions/new', { method: 'PUT', body: form(['archive', bytes]) })).status).toBe(201);
    expect(size).toBe(bytes.length);
  });

  test.each([
    ['no boundary', 'multipart/form-data', '--B--\r\n'],
    ['a boundary that never comes', 'multipart/form-data; boundary=B', 'nothing of the kind'],
    [
      'an end within the archive',
      'multipart/form-data; boundary=B',
      '--B\r\nContent-Disposition: form-data; name="archive"; filename="a"\r\n\r\n\x1f\x8b\x08\0half',
    ],
    ['no body at all', 'multipart/form-data; boundary=B', ''],
  ])('refuses a form with %s with 4xx, and does not hang', async (_what, type, body) => {
    const { raw, platform } = await startApi();
    platform.deploy = async (request) => void (await buffer(archiveOf(request).stream));
    const answer = await raw(
      `${head('PUT /v1/functions/new', `Content-Type: ${type}`, `Content-Length: ${body.length}`, 'Connection: close')}\r\n\r\n${body}`,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 4\d\d/);
    await expect(platform.functions.get('new')).rejects.toMatchObject({ code: 'function_not_found' });
  });

  test('tells of a failed build with its code and details', async () => {
    const { fetch, platform } = await startApi();
    platform.deploy = async () => {
      throw new WaferError('build_failed', 'npm ci failed.', { details: { step: 'npm ci', output: ['ERR'] } });
    };
    const answer = await fetch('/v1/functions/new', { method: 'PUT', body: form(['archive', GZIP]) });
    expect(await answer.json()).toMatchObject({ status: 422, code: 'build_failed', details: { step: 'npm ci' } });
    expect(platform.counted).toEqual(['build failed']);
  });

  test('aborts the build when the client goes away', async () => {
    const { connect, platform } = await startApi();
    let aborted = false;
    platform.deploy = async (request) => {
      await buffer(archiveOf(request).stream);
      await once(request.signal, 'abort');
      aborted = true;
      throw request.signal.reason;
    };
    const client = await connect();
    const body = Buffer.concat([
      Buffer.from('--B\r\nContent-Disposition: form-data; name="archive"; filename="a"\r\n\r\n'),
      GZIP,
      Buffer.from('\r\n--B--\r\n'),
    ]);
    client.write(
      `${head('PUT /v1/functions/new', 'Content-Type: multipart/form-data; boundary=B', `Content-Length: ${body.length}`)}\r\n\r\n`,
    );
    client.write(body);
    await until('the archive is there', () => client.socket.bytesWritten > body.length);
    client.destroy();
    await until('the build is aborted', () => aborted);
    await until('it is counted', () => platform.counted.includes('build cancelled'));
    await expect(platform.functions.get('new')).rejects.toMatchObject({ code: 'function_not_found' });
  });
});

describe('PUT /v1/functions/{name} with Accept: application/x-ndjson', () => {
  test('streams the build while it runs, and ends with deployed, once', async () => {
    const { fetch, platform } = await startApi();
    let goOn: () => void = () => {};
    platform.deploy = async (request, onEvent) => {
      await buffer(archiveOf(request).stream);
      onEvent({ type: 'step', step: 'npm ci', state: 'start' });
      await new Promise<void>((resolve) => {
        goOn = resolve;
      });
      onEvent({ type: 'log', step: 'npm ci', stream: 'stdout', text: 'added 1 package' });
    };
    const answer = await fetch('/v1/functions/new', { method: 'PUT', headers: NDJSON, body: form(['archive', GZIP]) });
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'application/x-ndjson']);
    goOn();
    expect(await lines(answer)).toMatchObject([
      { type: 'step', step: 'npm ci' },
      { type: 'log', text: 'added 1 package' },
      { type: 'deployed', version: { functionName: 'new', number: 1 } },
    ]);
  });

  test('ends with the problem when the build fails after its start', async () => {
    const { fetch, platform } = await startApi();
    platform.deploy = async (_request, onEvent) => {
      onEvent({ type: 'step', step: 'npm ci', state: 'start' });
      throw new WaferError('build_failed', 'npm ci failed.', { hint: 'Look above.' });
    };
    const answer = await fetch('/v1/functions/new', { method: 'PUT', headers: NDJSON, body: form(['archive', GZIP]) });
    expect(answer.status).toBe(200);
    expect(await lines(answer)).toMatchObject([
      { type: 'step' },
      { type: 'failed', problem: { code: 'build_failed', status: 422, hint: 'Look above.' } },
    ]);
  });

  test('masks what is not registered', async () => {
    const { fetch, platform } = await startApi();
    platform.deploy = async (_request, onEvent) => {
      onEvent({ type: 'step', step: 'x', state: 'start' });
      throw new Error('secret');
    };
    const answer = await fetch('/v1/functions/new', { method: 'PUT', headers: NDJSON, body: form(['archive', GZIP]) });
    const text = await answer.text();
    expect(text).toContain('"internal"');
    expect(text).not.toContain('secret');
  });

  test('answers an ordinary problem when it fails before its start', async () => {
    const { fetch, platform } = await startApi();
    platform.deploy = async () => {
      throw new WaferError('invalid_config', 'wafer.json: /runtime is not known.');
    };
    const answer = await fetch('/v1/functions/new', { method: 'PUT', headers: NDJSON, body: form(['archive', GZIP]) });
    expect([answer.status, (await problem(answer)).code]).toEqual([400, 'invalid_config']);
  });

  test('leaves out lines for a reader that takes none, says so, and still tells the end', async () => {
    const { connect, platform } = await startApi({ limits: { buildLogBytes: 10_000 } });
    let built = false;
    platform.deploy = async (_request, onEvent) => {
      for (let line = 0; line < 200_000; line++)
        onEvent({ type: 'log', step: 's', stream: 'stdout', text: 'x'.repeat(100) });
      built = true;
    };
    const client = await connect();
    const body = JSON.stringify({ files: { a: 'b' } });
    client.write(
      `${head('PUT /v1/functions/new', 'Content-Type: application/json', `Content-Length: ${body.length}`, 'Accept: application/x-ndjson', 'Connection: close')}\r\n\r\n${body}`,
    );
    await until('the build has ended', () => built);
    const answer = await client.closed();
    expect(answer.length).toBeLessThan(1_000_000);
    expect(answer).toMatch(/\d+ lines left out for a slow reader/);
    expect(answer).toContain('"deployed"');
  });
});
