import { once } from 'node:events';
import { PassThrough, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import type { ApiDeps } from '../../../services/api/deps.ts';
import { WaferError } from '../../../services/core/errors.ts';
import { startApi } from '../../helpers/api-server.ts';
import { createFakePlatform } from '../../helpers/fake-platform.ts';
import { testApp } from './helper.ts';

type ImageService = ApiDeps['imageService'];
const withImages = (parts: Partial<ImageService>) => ({
  imageService: { ...createFakePlatform().imageService, ...parts },
});
const NAME = 'registry.example:5000/team/app:v1';
const DIGEST = `sha256:${'a'.repeat(64)}`;
const NDJSON = { accept: 'application/x-ndjson' };
const event = (bytes: number) => ({
  type: 'layer' as const,
  digest: DIGEST,
  state: 'fetching' as const,
  bytes,
  total: 10,
});
const lines = (text: string) =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

describe('one image', () => {
  test('is named by a percent-encoded reference, with slashes, colons and all', async () => {
    const seen: string[] = [];
    const inspect: ImageService['inspect'] = async (name) => {
      seen.push(name);
      throw new WaferError('image_not_found', 'x');
    };
    const { send } = await testApp(withImages({ inspect }));
    const reply = await send({ url: `/v1/images/${encodeURIComponent(NAME)}` });
    expect([reply.statusCode, reply.json().code, seen]).toEqual([404, 'image_not_found', [NAME]]);
  });

  test('is tagged and removed', async () => {
    const calls: unknown[] = [];
    const { send } = await testApp(
      withImages({
        tag: async (...args) => {
          calls.push(args);
          return {} as never;
        },
        remove: async (name) => {
          calls.push([name]);
          return { untagged: [name], removed: DIGEST, layers: 1, bytes: 2 };
        },
      }),
    );
    const url = `/v1/images/${encodeURIComponent(NAME)}`;
    await send({ method: 'POST', url: `${url}/tag`, payload: { tag: 'other:v1' } });
    expect((await send({ method: 'DELETE', url })).json()).toMatchObject({ removed: DIGEST });
    expect(calls).toEqual([[NAME, 'other:v1'], [NAME]]);
  });

  test.each([
    ['POST', '/v1/images/pull', {}],
    ['POST', '/v1/images/pull', { reference: '' }],
    ['POST', '/v1/images/pull', { reference: 'a', platform: 'x' }],
    ['POST', '/v1/images/push', { as: 'x' }],
    ['POST', '/v1/images/prune', { all: 'yes' }],
    ['POST', '/v1/images/x/tag', { tag: 5 }],
    ['PUT', '/v1/registries/r.example', { username: 'x' }],
    ['GET', '/v1/images/x/save?format=zip', undefined],
  ] as const)('%s %s with %j is refused', async (method, url, payload) => {
    const { send } = await testApp();
    const reply = await send({ method, url, ...(payload === undefined ? {} : { payload }) });
    expect([reply.statusCode, reply.json().code]).toEqual([400, 'invalid_request']);
  });
});

describe('a transfer', () => {
  const pull = (work: ImageService['pull']) => testApp(withImages({ pull: work }));
  const payload = { reference: NAME };

  test('answers at its end', async () => {
    const { send } = await pull(async (name, { onEvent }) => {
      onEvent(event(5));
      return { digest: DIGEST, name, isNew: true };
    });
    const reply = await send({ method: 'POST', url: '/v1/images/pull', payload });
    expect([reply.statusCode, reply.json()]).toEqual([200, { digest: DIGEST, name: NAME, isNew: true }]);
  });

  test('says how far it is, one event a line, the last one with the result', async () => {
    const { send } = await pull(async (name, { onEvent }) => {
      onEvent(event(5));
      onEvent(event(10));
      return { digest: DIGEST, name };
    });
    const reply = await send({ method: 'POST', url: '/v1/images/pull', payload, headers: NDJSON });
    expect(reply.headers['content-type']).toBe('application/x-ndjson');
    expect(lines(reply.body)).toEqual([event(5), event(10), { type: 'done', result: { digest: DIGEST, name: NAME } }]);
  });

  test('that fails before its first event is a problem with its own status, after it the last line', async () => {
    const failure = new WaferError('registry_denied', 'no', { hint: 'log in' });
    const early = await pull(async () => {
      throw failure;
    });
    const refused = await early.send({ method: 'POST', url: '/v1/images/pull', payload, headers: NDJSON });
    expect([refused.statusCode, refused.json()]).toMatchObject([403, { code: 'registry_denied', hint: 'log in' }]);
    const late = await pull(async (_name, { onEvent }) => {
      onEvent(event(5));
      throw failure;
    });
    const reply = await late.send({ method: 'POST', url: '/v1/images/pull', payload, headers: NDJSON });
    expect(reply.statusCode).toBe(200);
    expect(lines(reply.body)).toEqual([
      event(5),
      { type: 'failed', problem: expect.objectContaining({ code: 'registry_denied' }) },
    ]);
  });

  test('ends when its caller goes away', async () => {
    const ended = new PassThrough();
    const work: ImageService['pull'] = (_name, { onEvent, signal }) => {
      onEvent(event(1));
      return new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          ended.end();
          reject(signal.reason);
        });
      });
    };
    const api = await startApi(withImages({ pull: work }));
    const stop = new AbortController();
    const headers = { ...NDJSON, 'content-type': 'application/json' };
    const reply = await api.fetch('/v1/images/pull', {
      method: 'POST',
      headers,
      body: JSON.stringify(payload),
      signal: stop.signal,
    });
    expect(reply.status).toBe(200);
    stop.abort();
    await once(ended.resume(), 'end');
  });
});

describe('archives', () => {
  test('go out as a stream, in the form that was asked for', async () => {
    const seen: unknown[] = [];
    const { send } = await testApp(
      withImages({
        save: async (...args) => {
          seen.push(args);
          return { stream: Readable.from([Buffer.from('tar')]), digest: DIGEST };
        },
      }),
    );
    const url = `/v1/images/${encodeURIComponent(NAME)}/save`;
    const reply = await send({ url: `${url}?format=docker-archive` });
    expect([reply.statusCode, reply.body, reply.headers['content-type']]).toEqual([200, 'tar', 'application/x-tar']);
    await send({ url });
    expect(seen).toEqual([
      [NAME, 'docker-archive'],
      [NAME, 'oci-archive'],
    ]);
  });

  test('come in as a stream of any length', async () => {
    let bytes = 0;
    const load: ImageService['load'] = async (archive) => {
      bytes = (await buffer(archive)).length;
      return [];
    };
    const { send } = await testApp(withImages({ load }));
    const payload = Buffer.alloc(3_000_000, 1);
    const headers = { 'content-type': 'application/x-tar' };
    const reply = await send({ method: 'POST', url: '/v1/images/load', payload, headers });
    expect([reply.statusCode, reply.json(), bytes]).toEqual([200, { images: [] }, 3_000_000]);
    const wrong = await send({
      method: 'POST',
      url: '/v1/images/load',
      payload: '{}',
      headers: { 'content-type': 'application/json' },
    });
    expect(wrong.statusCode).toBe(415);
  });
});

describe('logins', () => {
  test('hand a password over and never out', async () => {
    const seen: unknown[] = [];
    const { send } = await testApp(
      withImages({
        login: async (registry, username, password) => void seen.push([registry, username, password]),
        registries: async () => ['registry.example:5000'],
      }),
    );
    const url = `/v1/registries/${encodeURIComponent('registry.example:5000')}`;
    const reply = await send({ method: 'PUT', url, payload: { username: 'ada', password: 'secret' } });
    expect([reply.statusCode, reply.body]).toEqual([200, '{"registries":["registry.example:5000"]}']);
    expect(seen).toEqual([['registry.example:5000', 'ada', 'secret']]);
    expect((await send({ method: 'DELETE', url })).statusCode).toBe(404);
  });

  test('need the key like every route', async () => {
    const { app } = await testApp();
    for (const url of ['/v1/registries', '/v1/images/df', '/v1/images/x', '/v1/images/x/save']) {
      expect((await app.inject({ url })).statusCode).toBe(401);
    }
  });
});
