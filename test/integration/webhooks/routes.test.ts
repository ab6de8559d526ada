/** What senders see at `/hooks/{id}`: the real API, a real Redis, signers that nobody here wrote. */
import { createHmac } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { gzipSync } from 'node:zlib';
import { sign as githubSign } from '@octokit/webhooks-methods';
import { Webhook } from 'standardwebhooks';
import { describe, expect, it } from 'vitest';
import { eventually } from '../../helpers/redis.ts';
import { type HookServer, openHookServer } from './server.ts';

const SECRET = 'a-secret-of-sixteen-or-more';
const JSON_TYPE = { 'content-type': 'application/json' };

const github = async (secret: string, body: string, delivery = 'guid-1', event = 'push') => ({
  ...JSON_TYPE,
  'x-github-event': event,
  'x-github-delivery': delivery,
  'x-hub-signature-256': await githubSign(secret, body),
});
const standard = (secret: string, body: string, id = 'msg_1', at = new Date()) => ({
  ...JSON_TYPE,
  'webhook-id': id,
  'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
  'webhook-signature': new Webhook(secret).sign(id, at, body),
});
const deliveriesOf = async (server: HookServer, path: string) =>
  (await server.api('GET', `${path}/deliveries?limit=100`)).body.deliveries as { verdict: string; id: string }[];

describe('POST /hooks/{id}', () => {
  it("takes what GitHub's own library signed: 202 at first, 200 when it comes again, one invocation", async () => {
    const server = await openHookServer();
    const { id, secret } = await server.make();
    const body = '{"ref":"refs/heads/main"}';
    const headers = await github(secret, body);
    const first = await server.post(id, headers, body);
    expect([first.status, first.body]).toEqual([
      202,
      { verdict: 'accepted', delivery: expect.stringMatching(/^dlv_/) },
    ]);
    const again = await server.post(id, headers, body);
    expect([again.status, again.body]).toEqual([200, { verdict: 'duplicate', delivery: first.body.delivery }]);
    const [record] = await server.invoked(1);
    expect(record).toMatchObject({ trigger: 'webhook', origin: first.body.delivery });
    expect(await server.eventOf(record!)).toMatchObject({
      type: 'push',
      deliveryId: 'guid-1',
      body,
      event: JSON.parse(body),
    });
    expect(await server.invocations()).toHaveLength(1);
    const metrics = (await server.api('GET', '/metrics')).text;
    for (const verdict of ['accepted', 'duplicate'])
      expect(metrics).toContain(`wafer_webhook_deliveries_total{verdict="${verdict}"} 1`);
  });

  it('takes what the library of Standard Webhooks signed, with an old and a new secret, until the old one ends', async () => {
    const server = await openHookServer();
    const { id, secret, path } = await server.make({ scheme: 'standard' });
    const { body: rotated } = await server.api('POST', `${path}/rotate`, { keepMs: 3_600_000 });
    expect(rotated.secret).toMatch(/^whsec_/);
    expect(rotated.webhook.secrets).toHaveLength(2);
    for (const [one, name] of [
      [secret, 'msg_old'],
      [rotated.secret, 'msg_new'],
    ])
      expect((await server.post(id, standard(one, '{}', name), '{}')).status).toBe(202);
    const { body: last } = await server.api('POST', `${path}/rotate`, { keepMs: 0 });
    for (const one of [secret, rotated.secret])
      expect((await server.post(id, standard(one, '{}', 'msg_3'), '{}')).body).toMatchObject({
        code: 'invalid_signature',
        details: { verdict: 'bad_signature' },
      });
    expect((await server.post(id, standard(last.secret, '{}', 'msg_3'), '{}')).status).toBe(202);
  });

  it.each([
    ['a tampered body', (now: Date) => ({ body: '{"a":2}', at: now }), 'bad_signature'],
    ['a stale time stamp', (now: Date) => ({ body: '{"a":1}', at: new Date(+now - 600_000) }), 'stale'],
    ['a time stamp of the future', (now: Date) => ({ body: '{"a":1}', at: new Date(+now + 900_000) }), 'future'],
  ])('refuses %s with 401, keeps it for a look, and runs nothing', async (_what, change, verdict) => {
    const server = await openHookServer();
    const { id, secret, path } = await server.make({ scheme: 'standard' });
    const { body, at } = change(new Date());
    const answer = await server.post(id, standard(secret, '{"a":1}', 'msg_1', at), body);
    expect([answer.status, answer.headers.get('content-type'), answer.body]).toEqual([
      401,
      expect.stringMatching(/^application\/problem\+json/),
      expect.objectContaining({ code: 'invalid_signature', details: { verdict } }),
    ]);
    const [kept] = await eventually('it is kept', async () => {
      const found = await deliveriesOf(server, path);
      return found.length > 0 && found;
    });
    const { body: shown } = await server.api('GET', `${path}/deliveries/${kept?.id}`);
    expect(shown).toMatchObject({ verdict, body, isBase64: false, invocations: [], pending: 0 });
    expect(await server.invocations()).toEqual([]);
  });

  it('verifies bytes, not text: white space, a byte order mark, no UTF-8, any content type', async () => {
    const server = await openHookServer();
    const { id, secret } = await server.make();
    const bodies = ['{ "a":\r\n1 }\n', '\ufeff{}', '{"a":1,"a":2}', 'payload=%7B%7D&x=+%20'];
    const types = ['text/plain', 'text/html; charset=utf-16', 'application/x-www-form-urlencoded'];
    for (const [at, type] of types.entries()) {
      const body = bodies[at % bodies.length] as string;
      const headers = { ...(await github(secret, body, `t${at}`)), 'content-type': type };
      expect([type, (await server.post(id, headers, body)).status]).toEqual([type, 202]);
    }
    for (const type of ['not a type', '']) {
      const headers = { ...(await github(secret, '{}', 'none')), 'content-type': type };
      expect([type, (await server.post(id, headers, '{}')).status]).toEqual([type, 415]);
    }
    const bytes = Buffer.from([0xff, 0x00, 0xfe, 0x22]);
    const sum = createHmac('sha256', secret).update(bytes).digest('hex');
    const headers = { 'content-type': 'image/png', 'x-hub-signature-256': `sha256=${sum}`, 'x-github-delivery': 'b' };
    expect((await server.post(id, headers, bytes)).status).toBe(202);
    const records = await server.invoked(4);
    const events = await Promise.all(records.map(server.eventOf));
    expect(events.find(({ isBase64 }) => isBase64)).toMatchObject({ body: bytes.toString('base64'), event: null });
  });

  it('gives a compressed body to the function as it came', async () => {
    const server = await openHookServer();
    const { id } = await server.make({ scheme: 'none' });
    const bytes = gzipSync('{"a":1}');
    const answer = await server.post(id, { ...JSON_TYPE, 'content-encoding': 'gzip' }, bytes);
    expect(answer.status).toBe(202);
    const [record] = await server.invoked(1);
    expect(await server.eventOf(record!)).toMatchObject({
      isBase64: true,
      body: bytes.toString('base64'),
      event: null,
      headers: { 'content-encoding': 'gzip' },
    });
  });

  it('of fifty at once with the same id takes one', async () => {
    const server = await openHookServer();
    const { id, secret } = await server.make();
    const headers = await github(secret, '{}');
    const answers = await Promise.all(Array.from({ length: 50 }, () => server.post(id, headers, '{}')));
    expect(answers.filter(({ status }) => status === 202)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(49);
    expect(new Set(answers.map(({ body }) => body.delivery)).size).toBe(1);
    await server.invoked(1);
    expect(await server.invocations()).toHaveLength(1);
  });

  it('answers 404 to an id that is none, before it reads the body, and 404 to a name', async () => {
    const server = await openHookServer();
    await server.make();
    for (const id of ['w', 'whk_00000000000000000000000000', '..%2fv1', 'x'.repeat(5000)])
      expect((await server.post(id, {}, '{}')).body).toMatchObject({ status: 404, code: 'webhook_not_found' });
    // Of 6 MiB nothing is sent, and the answer is there.
    const status = await new Promise<number>((resolve, reject) => {
      const headers = { 'content-length': 6 << 20 };
      const sent = httpRequest(`${server.url}/hooks/whk_00000000000000000000000000`, { method: 'POST', headers });
      sent.on('response', ({ statusCode = 0 }) => {
        resolve(statusCode);
        sent.destroy();
      });
      sent.on('error', reject);
      sent.flushHeaders();
    });
    expect(status).toBe(404);
  });

  it.each([
    ['with its length', (text: string) => text],
    ['in chunks', (text: string) => new Blob([text]).stream()],
  ])('refuses a body over the limit %s with 413, and keeps nothing', async (_how, toBody) => {
    const server = await openHookServer({ invokeBytes: 10_000 });
    const { id, path } = await server.make({ scheme: 'none' });
    const body = toBody('x'.repeat(10_001));
    const init = { method: 'POST', body, duplex: 'half', headers: { 'content-type': 'text/plain' } } as RequestInit;
    const answer = await fetch(`${server.url}/hooks/${id}`, init);
    expect([answer.status, await answer.json()]).toEqual([413, expect.objectContaining({ code: 'payload_too_large' })]);
    expect(await deliveriesOf(server, path)).toEqual([]);
    expect((await server.post(id, {}, 'x'.repeat(4_000))).status).toBe(202);
  });

  it('holds no more of all bodies at once than its budget, whoever sends them, and gives back what was cut off', async () => {
    const server = await openHookServer({ hookBytesAtOnce: 20_000 });
    const { id } = await server.make({ scheme: 'none' });
    const send = () => server.post(id, { 'content-type': 'text/plain' }, 'x'.repeat(10_000));
    const slow = httpRequest(`${server.url}/hooks/${id}`, { method: 'POST', headers: { 'content-length': 18_000 } });
    slow.on('error', () => {});
    slow.write('x'.repeat(15_000));
    const refused = await eventually('it is held', async () => {
      const answer = await send();
      return answer.status === 202 ? null : answer;
    });
    expect([refused.status, refused.body.code, refused.headers.get('retry-after')]).toEqual([429, 'overloaded', '1']);
    slow.destroy();
    await eventually('there is room again', async () => (await send()).status === 202);
    expect(server.logged()).not.toContain('"level":50');
  });

  it('refuses headers that are too many with 431', async () => {
    const server = await openHookServer();
    const { id } = await server.make({ scheme: 'none' });
    expect((await server.post(id, { 'x-large': 'x'.repeat(20_000) }, '{}')).status).toBe(431);
    expect((await server.post(id, { 'x-large': 'x'.repeat(12_000) }, '{}')).status).toBe(202);
  });

  it('without a store answers 503 with Retry-After, and the next try is taken', async () => {
    const server = await openHookServer();
    const { id, secret } = await server.make();
    const headers = await github(secret, '{}');
    const { redis } = server.durable.redis.connection;
    // What a full disk of Redis does to every write.
    await redis.config('SET', 'min-replicas-to-write', '1');
    const refused = await server.post(id, headers, '{}');
    expect([refused.status, refused.body.code]).toEqual([503, 'store_unavailable']);
    expect(refused.headers.get('retry-after')).toBe('2');
    await redis.config('SET', 'min-replicas-to-write', '0');
    expect((await server.post(id, headers, '{}')).status).toBe(202);
    await server.invoked(1);
  });

  it('while Redis hangs takes nothing, and says so to each sender; what comes again then runs once', async () => {
    const server = await openHookServer();
    const { id, secret } = await server.make();
    const headers = await Promise.all(Array.from({ length: 20 }, (_, n) => github(secret, '{}', `guid-${n}`)));
    const sendAll = async () =>
      (await Promise.all(headers.map((one) => server.post(id, one, '{}')))).map(({ status }) => status);
    const pid = server.durable.redis.server.pid();
    process.kill(pid, 'SIGSTOP');
    const refused = await sendAll().finally(() => process.kill(pid, 'SIGCONT'));
    expect(refused).toEqual(Array(20).fill(503));
    // Each was told that nothing is sure, so it comes again: new, or known from the first time.
    const again = await eventually('Redis is back', async () => {
      const statuses = await sendAll();
      return statuses.every((status) => status < 300) && statuses;
    });
    expect(again).toHaveLength(20);
    await server.invoked(20);
    expect(await server.invocations()).toHaveLength(20);
  });

  it('tells whoever guesses secrets to slow down, and takes what is good all the while', async () => {
    const server = await openHookServer();
    const { id, secret } = await server.make();
    const bad = { ...JSON_TYPE, 'x-hub-signature-256': `sha256=${'0'.repeat(64)}` };
    for (let n = 0; n < 120; n++) expect((await server.post(id, bad, '{}')).status).toBe(401);
    const slower = await server.post(id, bad, '{}');
    expect([slower.status, slower.body.code]).toEqual([429, 'overloaded']);
    expect(Number(slower.headers.get('retry-after'))).toBeGreaterThan(1);
    expect((await server.post(id, await github(secret, '{}'), '{}')).status).toBe(202);
  });

  it('of a disabled webhook is refused with 403 and kept for a look, until it is enabled', async () => {
    const server = await openHookServer();
    const { id, secret, path } = await server.make({ disabled: true });
    const headers = await github(secret, '{}');
    expect((await server.post(id, headers, '{}')).body).toMatchObject({ status: 403, code: 'webhook_disabled' });
    // Who can not sign learns nothing.
    expect((await server.post(id, await github(SECRET, '{}'), '{}')).status).toBe(401);
    await eventually('both are kept', async () => (await deliveriesOf(server, path)).length === 2);
    expect((await deliveriesOf(server, path)).map(({ verdict }) => verdict).sort()).toEqual([
      'bad_signature',
      'disabled',
    ]);
    expect(await server.invocations()).toEqual([]);
    expect((await server.api('PATCH', path, { disabled: false })).body.webhook.disabled).toBe(false);
    expect((await server.post(id, headers, '{}')).status).toBe(202);
  });

  it('for a function that was removed is taken, and says in its delivery what it waits for', async () => {
    const server = await openHookServer();
    const { id, secret, path } = await server.make();
    await server.functions.remove('f');
    const { status, body } = await server.post(id, await github(secret, '{}'), '{}');
    expect(status).toBe(202);
    await eventually('it is told', async () => {
      const shown = (await server.api('GET', `${path}/deliveries/${body.delivery}`)).body;
      return shown.pending === 1 && String(shown.error).includes('"f"');
    });
  });
});

describe('handshakes', () => {
  it("a signed challenge of Slack is answered with it, and runs nothing; one of somebody else's is not", async () => {
    const server = await openHookServer();
    const { id, path } = await server.make({ scheme: 'slack', secret: SECRET });
    const body = '{"type":"url_verification","challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"}';
    const seconds = String(Math.floor(Date.now() / 1000));
    const sign = (secret: string) => createHmac('sha256', secret).update(`v0:${seconds}:${body}`).digest('hex');
    const headers = (secret: string) => ({
      ...JSON_TYPE,
      'x-slack-request-timestamp': seconds,
      'x-slack-signature': `v0=${sign(secret)}`,
    });
    const answer = await server.post(id, headers(SECRET), body);
    expect([answer.status, answer.body]).toEqual([200, { challenge: JSON.parse(body).challenge }]);
    expect((await server.post(id, headers('another-secret-of-somebody'), body)).status).toBe(401);
    await eventually('both are kept', async () => (await deliveriesOf(server, path)).length === 2);
    expect(await server.invocations()).toEqual([]);
  });

  it('CloudEvents: OPTIONS allows the origin that asks, and only an origin', async () => {
    const server = await openHookServer();
    const { id } = await server.make({ scheme: 'none' });
    const ask = (headers: Record<string, string>) => fetch(`${server.url}/hooks/${id}`, { method: 'OPTIONS', headers });
    const allowed = await ask({ 'webhook-request-origin': 'eventemitter.example.com', 'webhook-request-rate': '120' });
    expect(allowed.status).toBe(200);
    expect(Object.fromEntries(allowed.headers)).toMatchObject({
      allow: 'POST, GET, HEAD, OPTIONS',
      'webhook-allowed-origin': 'eventemitter.example.com',
      'webhook-allowed-rate': '*',
    });
    const wrong = await ask({ 'webhook-request-origin': '<script>' });
    expect([wrong.status, wrong.headers.get('webhook-allowed-origin')]).toEqual([200, null]);
    expect((await fetch(`${server.url}/hooks/nope`, { method: 'OPTIONS' })).status).toBe(404);
  });

  it('GET and HEAD say that a webhook is there, to whoever asks before taking the URL, and deliver nothing', async () => {
    const server = await openHookServer();
    const { id, path } = await server.make();
    const ask = (method: string, one = id) => fetch(`${server.url}/hooks/${one}`, { method });
    const answer = await ask('GET');
    expect([answer.status, await answer.text()]).toEqual([200, 'Senders of events POST here.\n']);
    expect((await ask('HEAD')).status).toBe(200);
    expect((await ask('GET', 'nope')).status).toBe(404);
    expect(await deliveriesOf(server, path)).toEqual([]);
  });
});

describe('a CloudEvent', () => {
  it('that is binary, structured or in a batch comes to the function in the JSON format', async () => {
    const server = await openHookServer();
    const { id } = await server.make({ scheme: 'none' });
    const event = { specversion: '1.0', id: 'a', source: '/s', type: 'made', datacontenttype: 'application/json' };
    const binary = { ...JSON_TYPE, 'ce-specversion': '1.0', 'ce-id': 'a', 'ce-source': '/s', 'ce-type': 'made' };
    expect((await server.post(id, binary, '{"n":12345678901234567890}')).status).toBe(202);
    const structured = { 'content-type': 'application/cloudevents+json' };
    expect((await server.post(id, structured, JSON.stringify({ ...event, id: 'b', data: [1] }))).status).toBe(202);
    const batch = { 'content-type': 'application/cloudevents-batch+json' };
    expect((await server.post(id, batch, JSON.stringify([{ ...event, id: 'c' }]))).status).toBe(202);
    expect((await server.post(id, { 'content-type': 'application/cloudevents+avro' }, 'x')).status).toBe(415);
    expect((await server.post(id, structured, '{"specversion":"1.0"}')).status).toBe(400);
    const records = await server.invoked(3);
    const texts = await Promise.all(
      records.map(async (record) => String(await server.durable.calls.readBody(record, 'event'))),
    );
    expect(texts.find((text) => text.includes('"deliveryId":"[\\"/s\\",\\"a\\"]"'))).toContain(
      '"data":{"n":12345678901234567890}}',
    );
    const events = texts.map((text) => (JSON.parse(text) as { event: unknown }).event);
    expect(events).toContainEqual({ ...event, id: 'b', data: [1] });
    expect(events).toContainEqual([{ ...event, id: 'c' }]);
  });
});
