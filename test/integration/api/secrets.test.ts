/** Routes of secrets over a real Redis: values come in, and no answer, error or log line has one. */
import { Writable } from 'node:stream';
import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { secretsKeyOf } from '../../../services/core/secrets/cipher.ts';
import { createSecretFeed } from '../../../services/core/secrets/feed.ts';
import { createSecrets } from '../../../services/core/secrets/index.ts';
import { createSecretReader } from '../../../services/core/secrets/reader.ts';
import { remoteSecrets } from '../../../services/core/secrets/remote.ts';
import { openReceiver } from '../../../services/core/secrets/sealed-box.ts';
import { createSecretStore } from '../../../services/core/secrets/store.ts';
import { MAX_SECRET_BYTES } from '../../../services/core/secrets/types.ts';
import { startApi } from '../../helpers/api-server.ts';
import { TEST_KEY } from '../../helpers/fake-platform.ts';
import { startTestRedis, type TestRedis } from '../../helpers/redis.ts';

const CANARY = 'canary-correct-horse-battery';
const OCTETS = { 'content-type': 'application/octet-stream' };
const JSON_TYPE = { 'content-type': 'application/json' };

let redis: TestRedis;
beforeAll(async () => {
  redis = await startTestRedis();
});
afterAll(() => redis?.close());
beforeEach(() => redis.connection.redis.flushall());

async function open() {
  const logged: string[] = [];
  const sink = new Writable({
    write(chunk, _encoding, done) {
      logged.push(String(chunk));
      done();
    },
  });
  const key = secretsKeyOf(Buffer.alloc(32, 1));
  const store = createSecretStore({ redis: redis.connection.redis });
  const reader = createSecretReader({ store, key });
  const functions = { list: async () => [], versions: async () => [] };
  const secrets = createSecrets({ store, key, reader, functions, feed: createSecretFeed() });
  const api = await startApi({ secrets, log: pino({ level: 'trace' }, sink) });
  const texts: string[] = [];
  const send = async (
    method: string,
    path: string,
    body?: string | Buffer,
    headers: Record<string, string> = OCTETS,
  ) => {
    const reply = await api.fetch(path, { method, ...(body === undefined ? {} : { body, headers }) });
    const text = await reply.text();
    texts.push(text);
    return { status: reply.status, body: text === '' ? null : JSON.parse(text) };
  };
  return { api, send, secrets, said: () => [...texts, ...logged].join('\n') };
}

describe('/v1/secrets', () => {
  it('takes bytes or JSON, and answers with names and versions', async () => {
    const { send, secrets, said } = await open();
    const first = await send('PUT', '/v1/secrets/db', Buffer.from([0, 255, 10]));
    expect(first).toMatchObject({
      status: 201,
      body: { name: 'db', latest: 1, changed: true, replaced: 0, usedBy: [] },
    });
    expect((await secrets.read([{ name: 'db' }]))[0]?.value).toEqual(Buffer.from([0, 255, 10]));
    const second = await send('PUT', '/v1/secrets/db', JSON.stringify({ value: CANARY }), JSON_TYPE);
    expect(second).toMatchObject({ status: 200, body: { latest: 2 } });
    expect((await secrets.read([{ name: 'db' }]))[0]?.value.toString()).toBe(CANARY);
    expect((await send('POST', '/v1/secrets/db/rotate', `${CANARY}2`)).body).toMatchObject({
      versions: [{ version: 3 }],
    });
    expect((await send('GET', '/v1/secrets')).body).toMatchObject({ secrets: [{ name: 'db', latest: 3 }] });
    expect((await send('GET', '/v1/secrets/db')).body).toMatchObject({ name: 'db' });
    expect((await send('DELETE', '/v1/secrets/db')).status).toBe(204);
    expect((await send('GET', '/v1/secrets/db')).body).toMatchObject({ code: 'secret_not_found' });
    expect(said()).not.toContain(CANARY);
  });

  it('a body that is refused is repeated nowhere', async () => {
    const { send, said } = await open();
    const bodies: [string, Record<string, string>, number][] = [
      [`{"value":"${CANARY}"`, JSON_TYPE, 400],
      [`{"value":"${CANARY}","more":1}`, JSON_TYPE, 400],
      [`{"${CANARY}":1}`, JSON_TYPE, 400],
      [`"${CANARY}"`, JSON_TYPE, 400],
      ['', OCTETS, 400],
      [CANARY.repeat(Math.ceil((MAX_SECRET_BYTES + 1) / CANARY.length)), OCTETS, 413],
      [CANARY.repeat(15_000), OCTETS, 413],
    ];
    for (const [body, headers, status] of bodies)
      expect((await send('PUT', '/v1/secrets/db', body, headers)).status).toBe(status);
    expect((await send('PUT', '/v1/secrets/..%2Fdb', CANARY)).status).toBe(400);
    expect((await send('POST', '/v1/secrets/none/rotate', CANARY)).body).toMatchObject({ code: 'secret_not_found' });
    expect((await send('GET', '/v1/secrets')).body).toEqual({ secrets: [] });
    expect(said()).not.toContain(CANARY);
  });

  it('is closed without a key', async () => {
    const { api } = await open();
    for (const [method, path] of [
      ['GET', '/v1/secrets'],
      ['PUT', '/v1/secrets/db'],
      ['POST', '/v1/workers/secrets'],
    ] as const)
      expect((await fetch(`${api.url}${path}`, { method, ...(method === 'GET' ? {} : { body: 'x' }) })).status).toBe(
        401,
      );
  });
});

describe('a worker that joined', () => {
  it('gets values that nobody on the way can read', async () => {
    const { api, secrets, said, send } = await open();
    await secrets.set('db', Buffer.from(CANARY));
    await secrets.set('pinned', Buffer.from('old'));
    await secrets.set('pinned', Buffer.from('new'));
    const home = remoteSecrets({ url: api.url, key: TEST_KEY });
    const values = await home.read([{ name: 'db' }, { name: 'pinned', version: 1 }]);
    expect(values.map(({ name, version, value }) => [name, version, value.toString()])).toEqual([
      ['db', 1, CANARY],
      ['pinned', 1, 'old'],
    ]);
    const { publicKey } = openReceiver();
    await send('POST', '/v1/workers/secrets', JSON.stringify({ publicKey, secrets: [{ name: 'db' }] }), JSON_TYPE);
    expect(said()).not.toContain(CANARY);
    expect(said()).not.toContain(Buffer.from(CANARY).toString('base64').slice(2, -4));
  });

  it('is told what is missing, and when it asks in vain', async () => {
    const { api } = await open();
    const home = remoteSecrets({ url: api.url, key: TEST_KEY });
    await expect(home.read([{ name: 'none' }])).rejects.toMatchObject({ code: 'secret_not_found' });
    const stranger = remoteSecrets({ url: api.url, key: 'x'.repeat(40) });
    await expect(stranger.read([{ name: 'none' }])).rejects.toMatchObject({ code: 'not_reachable' });
    const nowhere = remoteSecrets({ url: 'http://127.0.0.1:1', key: TEST_KEY });
    await expect(nowhere.read([{ name: 'none' }])).rejects.toMatchObject({ code: 'not_reachable' });
  });
});
