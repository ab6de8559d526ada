/** What callers send to the routes that accept: the real API over a real Redis and a real queue. */
import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { buildApp } from '../../../services/api/app.ts';
import { createAgain } from '../../../services/core/invocations/durable/again.ts';
import { createFakePlatform, TEST_KEY } from '../../helpers/fake-platform.ts';
import { eventually } from '../../helpers/redis.ts';
import { type DurableLab, ok, openDurableLab } from './lab.ts';

const HOUR = 3_600_000;
const YEAR = 366 * 24 * HOUR;
let lab: DurableLab;
let app: FastifyInstance;
let url: string;
/** Events that ran, as bytes. */
const ran: string[] = [];
beforeAll(async () => {
  lab = await openDurableLab();
  lab.work(async ({ event }) => {
    ran.push(event.toString());
    return ok('1');
  });
  const again = createAgain(lab.redis.connection.redis, lab.calls);
  app = buildApp(createFakePlatform({ durable: lab.calls, again, limits: { invokeBytes: 64 * 1024 } }));
  url = await app.listen({ port: 0, host: '127.0.0.1' });
});
afterAll(async () => {
  await app.close();
  await lab.close();
});
beforeEach(() => {
  ran.length = 0;
});

type Body = { id: string; code: string; details: { path: string }; results: { id: string; state: string }[] };

async function post(path: string, body: string, headers: Record<string, string> = {}) {
  const reply = await fetch(`${url}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${TEST_KEY}`, 'content-type': 'application/json', ...headers },
    body,
  });
  return { status: reply.status, headers: reply.headers, body: (await reply.json()) as Body };
}
const one = (query = '', headers = {}, body = '{}') => post(`/v1/functions/hello/async${query}`, body, headers);
const batch = (body: string, headers = {}) => post('/v1/functions/hello/batch', body, headers);

describe('when a call is to run', () => {
  it.each([
    ['?delayMs=-1', 'query/delayMs'],
    ['?delayMs=1.5', 'query/delayMs'],
    ['?delayMs=1e3', 'query/delayMs'],
    ['?delayMs=007', 'query/delayMs'],
    [`?delayMs=${YEAR + HOUR}`, 'query/delayMs'],
    ['?delayMs=999999999999', 'query/delayMs'],
    [`?runAt=${Date.now() + YEAR + HOUR}`, 'query/runAt'],
    [`?runAt=${'9'.repeat(40)}`, 'query/runAt'],
    ['?runAt=', 'query/runAt'],
    ['?runAt=tomorrow', 'query/runAt'],
    ['?runAt=2030-01-01', 'query/runAt'],
    ['?runAt=2030-01-01T00:00:00', 'query/runAt'],
    ['?runAt=Jan%201%202027', 'query/runAt'],
    ['?runAt=2030-13-01T00:00:00Z', 'query/runAt'],
    ['?runAt=-5', 'query/runAt'],
    ['?delayMs=5&runAt=2030-01-01T00:00:00Z', 'query/runAt'],
    ['?priority=10', 'query/priority'],
    ['?priority=-1', 'query/priority'],
    [`?key=${'k'.repeat(256)}`, 'query/key'],
    ['?key=', 'query/key'],
    ['?later=1', 'query/later'],
  ])('%s is refused and named', async (query, path) => {
    const reply = await one(query);
    expect(reply).toMatchObject({ status: 400, body: { code: 'invalid_request' } });
    expect(JSON.stringify(reply.body)).toContain(path);
  });

  it.each(['?delayMs=0', '?runAt=0', '?runAt=2001-01-01T00:00:00%2B02:00', '?priority=0', '?priority=9'])(
    '%s runs now',
    async (query) => {
      const { body, status } = await one(query);
      expect(status).toBe(202);
      await eventually('it ran', async () => (await lab.calls.get(body.id)).state === 'succeeded');
      const { runAt, acceptedAt } = await lab.calls.get(body.id);
      if (runAt !== undefined) expect(runAt).toBeGreaterThanOrEqual(acceptedAt - 1_000);
    },
  );

  it('its age counts from that time: one that is to run in a month is not too old then', async () => {
    const { body } = await one(`?delayMs=${30 * 24 * HOUR}`);
    const { redis } = lab.redis.connection;
    const { acceptedAt } = await lab.calls.get(body.id);
    const expiresAt = await redis.hget(`wafer:{default}:call:${body.id}`, 'expiresAt');
    expect(Number(expiresAt) - acceptedAt).toBeGreaterThanOrEqual(31 * 24 * HOUR - 1_000);
    expect((await lab.calls.cancel(body.id, 'not wanted')).state).toBe('cancelled');
  });
});

describe('a batch', () => {
  it.each([['[]'], ['{}'], ['null'], [''], ['"[]"'], [JSON.stringify(Array.from({ length: 1_001 }, () => 0))]])(
    'that is not a list of 1 to 1,000 events is refused whole: %.20s',
    async (body) => {
      expect(await batch(body)).toMatchObject({ status: 400, body: { code: 'invalid_request' } });
    },
  );

  it('hands each event on as it was written', async () => {
    const events = [
      '12345678901234567890',
      '1.0',
      '{"a":1,"a":2}',
      '{"__proto__":{"x":1}}',
      '"]\\"[,"',
      '[[],{}]',
      'null',
    ];
    const { status, body } = await batch(` [ ${events.join(' ,\n')} ] `);
    expect(status).toBe(202);
    await eventually('all ran', () => ran.length === events.length);
    expect([...ran].sort()).toEqual([...events].sort());
    expect(body.results.map(({ state }) => state)).toEqual(events.map(() => 'accepted'));
  });

  it('of 1,000 gives each an id of its own, and the same ids to the same key', async () => {
    const events = JSON.stringify(Array.from({ length: 1_000 }, (_, n) => n));
    const first = await batch(events, { 'idempotency-key': 'a-thousand' });
    expect(new Set(first.body.results.map(({ id }) => id)).size).toBe(1_000);
    const second = await batch(events, { 'idempotency-key': 'a-thousand' });
    expect(second.body.results.map(({ id }) => id)).toEqual(first.body.results.map(({ id }) => id));
    expect(second.body.results.every(({ state }) => state === 'repeated')).toBe(true);
    await eventually('each ran', () => ran.length >= 1_000);
    expect(ran.length).toBe(1_000);
  });
});

describe('an idempotency key', () => {
  it('used many times at once is one invocation', async () => {
    const replies = await Promise.all(Array.from({ length: 20 }, () => one('', { 'idempotency-key': 'at-once' })));
    expect(new Set(replies.map(({ body }) => body.id)).size).toBe(1);
  });

  it('with another body is 409 and names the first; of another function it is another', async () => {
    const key = { 'idempotency-key': 'same' };
    const first = await one('', key, '1');
    expect(await one('', key, '2')).toMatchObject({
      status: 409,
      body: { code: 'idempotency_conflict', details: { invocation: first.body.id } },
    });
    const other = await post('/v1/functions/other/async', '2', key);
    expect(other).toMatchObject({ status: 202, body: { state: 'accepted' } });
  });

  it('can not be one that a schedule or a chain has', async () => {
    const chain = lab.request({
      functionName: 'hello',
      body: Buffer.from('{}'),
      idempotencyKey: 'chain:msg_1_onSuccess',
    });
    const { id } = await lab.calls.accept(chain);
    const { body } = await one('', { 'idempotency-key': 'chain:msg_1_onSuccess' });
    expect(body.id).not.toBe(id);
  });

  it.each(['async', 'batch'])('of more than 255 characters is refused by .../%s', async (route) => {
    const reply = await post(`/v1/functions/hello/${route}`, '[1]', { 'idempotency-key': 'k'.repeat(256) });
    expect(reply).toMatchObject({ status: 400, body: { details: { path: 'header/idempotency-key' } } });
  });

  it('makes a replay one invocation', async () => {
    const { body } = await one('', {}, '5');
    await eventually('it ended', async () => (await lab.calls.get(body.id)).state === 'succeeded');
    const replay = () => post(`/v1/invocations/${body.id}/replay`, '{}', { 'idempotency-key': 'again' });
    const [first, second] = [await replay(), await replay()];
    expect([first.status, second.body.id]).toEqual([202, first.body.id]);
    expect(first.body.id).not.toBe(body.id);
  });
});

describe('a body', () => {
  it('over the limit is 413, on every route that accepts', async () => {
    const large = `["${'x'.repeat(64 * 1024)}"]`;
    for (const route of ['async', 'batch', 'invoke'])
      expect(await post(`/v1/functions/hello/${route}`, large, { prefer: 'respond-async' }), route).toMatchObject({
        status: 413,
        body: { code: 'payload_too_large' },
      });
  });

  it.each(['{', '[1,]', "{'a':1}", '[1] 2', '\ufeff{}', '{"a":NaN}'])('%j is no JSON', async (body) => {
    expect(await one('', {}, body)).toMatchObject({ status: 400, body: { code: 'invalid_json' } });
    expect(await batch(body)).toMatchObject({ status: 400, body: { code: 'invalid_json' } });
  });
});

describe('what only accepted calls have', () => {
  it.each([
    ['?delayMs=5', {}],
    ['', { 'x-callback-url': 'https://example.org/' }],
  ])('is refused on a call that is answered at once', async (query, headers) => {
    const reply = await post(`/v1/functions/hello/invoke${query}`, '{}', headers);
    expect(reply).toMatchObject({ status: 400, body: { code: 'invalid_request' } });
  });

  it('is not there for one that was answered at once, and that is said', async () => {
    const reply = await post('/v1/functions/hello/invoke', '{}');
    const at = `/v1/invocations/${reply.headers.get('x-wafer-invocation')}`;
    const parts: [string, string][] = [
      ['POST', '/replay'],
      ['GET', '/result'],
      ['GET', '/request'],
      ['GET', '/deliveries'],
      ['POST', '/deliveries/callback/redeliver'],
      ['DELETE', ''],
    ];
    for (const [method, path] of parts) {
      const answer = await fetch(`${url}${at}${path}`, { method, headers: { authorization: `Bearer ${TEST_KEY}` } });
      expect([answer.status, await answer.json()], path).toEqual([
        409,
        expect.objectContaining({ code: 'conflict', detail: expect.stringContaining('answered at once') }),
      ]);
    }
  });

  it('is refused for a function, a version and an alias that are not there', async () => {
    expect(await post('/v1/functions/nobody/async', '{}')).toMatchObject({ status: 404 });
    expect(await one('?version=99')).toMatchObject({ status: 404, body: { code: 'version_not_found' } });
    expect(await one('?alias=nope')).toMatchObject({ status: 404, body: { code: 'alias_not_found' } });
  });
});
