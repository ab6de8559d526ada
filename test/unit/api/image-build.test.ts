/** POST /v1/images/build: what reaches the builder, and the three shapes of an answer. */
import { expect, test } from 'vitest';
import { WaferError } from '../../../services/core/errors.ts';
import type { ImageBuilds, ImageBuildUpload } from '../../../services/core/images/dockerfile/builds.ts';
import { testApp } from './helper.ts';

const BUILT = { digest: `sha256:${'1'.repeat(64)}`, tags: ['app'], layers: 1, bytes: 2, stepsRun: 1, stepsCached: 0 };
const GZIP = '\x1f\x8b\x08\x00context';

async function post(build: ImageBuilds['build'], config: object | null, accept = 'application/json', archive = GZIP) {
  const { send } = await testApp({ imageBuilds: { build } });
  const part = (headers: string, body: string) =>
    `--b\r\ncontent-disposition: form-data; ${headers}\r\n\r\n${body}\r\n`;
  const fields = config === null ? '' : part('name="config"\r\ncontent-type: application/json', JSON.stringify(config));
  const body = `${fields}${part('name="archive"; filename="c.tar.gz"', archive)}--b--\r\n`;
  const headers = { accept, 'content-type': 'multipart/form-data; boundary=b' };
  return send({ method: 'POST', url: '/v1/images/build', headers, payload: Buffer.from(body, 'latin1') });
}

async function drain({ source }: ImageBuildUpload): Promise<string> {
  let bytes = '';
  if (source.kind === 'archive') for await (const chunk of source.stream) bytes += (chunk as Buffer).toString('latin1');
  return bytes;
}

test('hands options and archive to the builder and answers with the image', async () => {
  const config = {
    tags: ['app'],
    target: 't',
    buildArgs: { A: '1' },
    noCache: true,
    secrets: { s: 'x' },
    dockerfile: 'd/f',
  };
  const seen: object[] = [];
  const reply = await post(async (upload) => {
    const { source: _source, signal: _signal, ...options } = upload;
    seen.push({ options, bytes: await drain(upload) });
    return BUILT;
  }, config);
  expect(reply.statusCode, reply.body).toBe(201);
  expect(reply.json()).toEqual(BUILT);
  expect(seen).toEqual([{ options: config, bytes: GZIP }]);
});

test('streams the events as lines; the last one says how it ended', async () => {
  const reply = await post(
    async (upload, onEvent) => {
      await drain(upload);
      onEvent({ type: 'step', step: 's', state: 'start' });
      onEvent({ type: 'log', step: 's', stream: 'stdout', text: 'hello' });
      return BUILT;
    },
    {},
    'application/x-ndjson',
  );
  const lines = reply.body
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as object);
  expect(lines).toEqual([
    { type: 'step', step: 's', state: 'start' },
    { type: 'log', step: 's', stream: 'stdout', text: 'hello' },
    { type: 'built', image: BUILT },
  ]);
});

test('a failure after the first event is the last line, before it a problem of its own', async () => {
  const failing =
    (said: boolean): ImageBuilds['build'] =>
    async (upload, onEvent) => {
      await drain(upload);
      if (said) onEvent({ type: 'step', step: 's', state: 'start' });
      throw new WaferError('invalid_dockerfile', 'Dockerfile:3:1: no', { details: { line: 3 } });
    };
  const late = await post(failing(true), null, 'application/x-ndjson');
  expect(late.statusCode).toBe(200);
  expect(JSON.parse(late.body.trim().split('\n').at(-1) ?? '')).toMatchObject({
    type: 'failed',
    problem: { code: 'invalid_dockerfile', status: 400, details: { line: 3 } },
  });
  const early = await post(failing(false), null, 'application/x-ndjson');
  expect([early.statusCode, early.json().code]).toEqual([400, 'invalid_dockerfile']);
});

test.each([
  ['an unknown option', { tag: 'x' }],
  ['a tag that is no list', { tags: 'x' }],
  ['a build argument that is no text', { buildArgs: { A: 1 } }],
  ['too many tags', { tags: Array.from({ length: 17 }, () => 'x') }],
])('refuses %s before the builder hears of it', async (_what, config) => {
  const reply = await post(() => Promise.reject(new Error('called')), config);
  expect([reply.statusCode, reply.json().code], reply.body).toEqual([400, 'invalid_request']);
});

test('refuses what is no archive, and what has no key', async () => {
  const never: ImageBuilds['build'] = () => Promise.reject(new Error('called'));
  expect((await post(never, {}, 'application/json', 'plain')).json().code).toBe('invalid_archive');
  const { app } = await testApp();
  expect((await app.inject({ method: 'POST', url: '/v1/images/build' })).statusCode).toBe(401);
});
