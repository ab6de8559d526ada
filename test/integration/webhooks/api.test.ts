/** `/v1/webhooks`: what those who set webhooks up see, and never see. */
import { describe, expect, it } from 'vitest';
import { SCHEMES, type SchemeName } from '../../../services/core/triggers/webhooks/schemes/types.ts';
import { type NewWebhook, SAMPLE_SENDERS } from '../../../services/core/triggers/webhooks/types.ts';
import { eventually } from '../../helpers/redis.ts';
import { openHookServer } from './server.ts';

const SECRET = 'a-secret-of-sixteen-or-more';
/** RFC 8032, section 7.1, TEST 2. */
const PUBLIC_KEY = '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c';

/** Deliveries of one millisecond are in no order. */
async function nextMillisecond(): Promise<void> {
  const before = Date.now();
  while (Date.now() === before) await new Promise(setImmediate);
}

describe('definitions', () => {
  it('are made, listed, shown, changed and removed', async () => {
    const { api } = await openHookServer();
    const sent = { name: 'pushes', functionName: 'f', scheme: 'github', events: ['push'] };
    const made = await api('POST', '/v1/webhooks', sent);
    expect([made.status, made.body]).toEqual([
      201,
      { webhook: expect.objectContaining(sent), secret: expect.stringMatching(/^[0-9a-f]{64}$/) },
    ]);
    const { id, url } = made.body.webhook;
    expect(url).toBe(`/hooks/${id}`);
    expect((await api('GET', '/v1/webhooks')).body.webhooks).toEqual([made.body.webhook]);
    for (const ref of ['pushes', id]) expect((await api('GET', `/v1/webhooks/${ref}`)).body).toEqual(made.body.webhook);
    const changed = await api('PATCH', '/v1/webhooks/pushes', { events: ['push', 'release'], toleranceMs: 60_000 });
    expect(changed.body).toEqual({
      webhook: { ...made.body.webhook, events: ['push', 'release'], toleranceMs: 60_000 },
    });
    // What a scheme is set to says nothing in another, and a secret of one is none of another.
    const other = await api('PATCH', '/v1/webhooks/pushes', { scheme: 'standard' });
    expect(other.body.secret).toMatch(/^whsec_/);
    expect((await api('DELETE', '/v1/webhooks/pushes')).status).toBe(204);
    expect((await api('GET', '/v1/webhooks/pushes')).body.code).toBe('webhook_not_found');
    expect((await api('POST', `/hooks/${id}`)).status).toBe(404);
  });

  it.each([
    [{ name: 'w' }, 'invalid_request', 'body'],
    [{ scheme: 'github', functionName: 'f' }, 'invalid_request', 'body'],
    [{ name: 'w', scheme: 'githup', functionName: 'f' }, 'invalid_request', 'body/scheme'],
    [{ name: 'w', scheme: 'github', functionName: 'f', secrets: ['x'] }, 'invalid_request', 'body/secrets'],
    [{ name: 'w', scheme: 'github', functionName: 'f', toleranceMs: 0 }, 'invalid_request', 'body/toleranceMs'],
    [{ name: 'w', scheme: 'github', functionName: 'f', secret: 'short' }, 'invalid_request', 'body/secret'],
    [{ name: 'w', scheme: 'stripe', functionName: 'f' }, 'invalid_request', 'body/secret'],
    [
      { name: 'w', scheme: 'github', functionName: 'f', settings: { header: 'x' } },
      'invalid_request',
      'body/settings/header',
    ],
    [
      { name: 'w', scheme: 'hmac', functionName: 'f', settings: { header: 'x: y' } },
      'invalid_request',
      'body/settings/header',
    ],
    [{ name: 'w', scheme: 'github', functionName: 'f', events: ['a b'] }, 'invalid_request', 'body/events'],
    [{ name: '../w', scheme: 'github', functionName: 'f' }, 'invalid_name', undefined],
    [{ name: 'w', scheme: 'github', functionName: 'nope' }, 'function_not_found', undefined],
  ])('wrong body %# is refused with its code and place, and makes nothing', async (body, code, path) => {
    const { api } = await openHookServer();
    const answer = await api('POST', '/v1/webhooks', body);
    expect(answer.body).toMatchObject({ code, ...(path !== undefined && { details: { path } }) });
    expect((await api('GET', '/v1/webhooks')).body).toEqual({ webhooks: [] });
  });

  it('need a key', async () => {
    const { url, make } = await openHookServer();
    const { path, id } = await make();
    const routes = [
      ['GET', '/v1/webhooks'],
      ['POST', '/v1/webhooks'],
      ['GET', path],
      ['PATCH', path],
      ['DELETE', path],
      ['POST', `${path}/rotate`],
      ['POST', `${path}/test`],
      ['GET', `${path}/deliveries`],
      ['POST', `${path}/redeliver`],
    ] as const;
    for (const [method, route] of routes)
      expect([route, (await fetch(url + route, { method })).status]).toEqual([route, 401]);
    // The id of a webhook is no key.
    const headers = { authorization: `Bearer ${id}` };
    expect((await fetch(url + path, { headers })).status).toBe(401);
  });
});

describe('a secret', () => {
  it.each([
    ['github', { secret: SECRET }, {}],
    ['gitlab', { secret: SECRET }, { 'x-gitlab-token': SECRET }],
    ['bearer', { secret: SECRET }, { authorization: `Bearer ${SECRET}` }],
    ['bearer', { secret: SECRET, settings: { header: 'x-token' } }, { 'x-token': SECRET }],
    ['slack', { secret: SECRET }, { cookie: `session=${SECRET}` }],
  ] as [SchemeName, Partial<NewWebhook>, Record<string, string>][])(
    'of %s %# is in no answer, no log, no delivery and no event',
    async (scheme, more, headers) => {
      const server = await openHookServer();
      const { api, post } = server;
      const { id, path } = await server.make({ scheme, ...more });
      await post(id, { 'content-type': 'application/json', ...headers }, '{}');
      await post(id, { 'content-type': 'application/json', 'x-gitlab-token': 'wrong', authorization: 'wrong' }, '{}');
      await api('POST', `${path}/test`, {});
      await api('POST', `${path}/rotate`, { secret: `${SECRET}-2` });
      await api('PATCH', path, { secret: `${SECRET}-3`, events: ['nothing'] });
      await api('PATCH', path, { secret: `${SECRET}${'x'.repeat(3_000)}` });
      await api('POST', '/v1/webhooks', { name: 'w', functionName: 'f', scheme, ...more });
      await eventually(
        'they are kept',
        async () => (await api('GET', `${path}/deliveries`)).body.deliveries.length >= 2,
      );
      const { deliveries } = (await api('GET', `${path}/deliveries`)).body as { deliveries: { id: string }[] };
      const seen = [
        ...deliveries,
        ...(await Promise.all(deliveries.map(async (one) => (await api('GET', `${path}/deliveries/${one.id}`)).body))),
        (await api('GET', '/v1/webhooks')).body,
        (await api('GET', path)).body,
        await Promise.all((await server.invocations()).map(server.eventOf)),
        server.logged(),
      ];
      expect(JSON.stringify(seen)).not.toContain(SECRET);
    },
  );

  it('that was made here is shown once', async () => {
    const server = await openHookServer();
    const { secret, path } = await server.make();
    const seen = [
      (await server.api('GET', path)).text,
      (await server.api('GET', '/v1/webhooks')).text,
      server.logged(),
    ];
    for (const text of seen) expect(text).not.toContain(secret);
    const [{ fingerprint }] = (await server.api('GET', path)).body.secrets;
    expect(fingerprint).toMatch(/^[0-9a-f]{12}$/);
  });
});

describe('deliveries', () => {
  it('are listed newest first in pages, by verdict, and shown with headers and body', async () => {
    const server = await openHookServer();
    const { api, post } = server;
    const { id, path } = await server.make({
      scheme: 'none',
      settings: { idHeader: 'x-id', typeHeader: 'x-type' },
      events: ['a'],
    });
    for (let n = 0; n < 7; n++) {
      const headers = { 'x-id': String(n), 'x-type': n % 2 === 0 ? 'a' : 'b', 'content-type': 'text/plain' };
      await post(id, headers, `body ${n}`);
      await nextMillisecond();
    }
    const first = (await api('GET', `${path}/deliveries?limit=4`)).body;
    const second = (await api('GET', `${path}/deliveries?limit=4&cursor=${first.cursor}`)).body;
    const ids = [...first.deliveries, ...second.deliveries].map((one: { deliveryId: string }) => one.deliveryId);
    expect([ids, second.cursor]).toEqual([['6', '5', '4', '3', '2', '1', '0'], null]);
    const filtered = (await api('GET', `${path}/deliveries?verdict=filtered`)).body.deliveries;
    expect(filtered.map((one: { deliveryId: string }) => one.deliveryId)).toEqual(['5', '3', '1']);
    const shown = (await api('GET', `${path}/deliveries/${filtered[0].id}`)).body;
    expect(shown).toMatchObject({ body: 'body 5', isBase64: false, headers: { 'x-type': 'b' }, bodyBytes: 6 });
    for (const query of ['limit=0', 'limit=1000', 'verdict=good', 'cursor=x', 'page=1'])
      expect([query, (await api('GET', `${path}/deliveries?${query}`)).status]).toEqual([query, 400]);
    expect((await api('GET', `${path}/deliveries/dlv_${'0'.repeat(26)}`)).body.code).toBe('delivery_not_found');
  });

  it('run once more by themselves, or all of a time', async () => {
    const server = await openHookServer();
    const { id, path } = await server.make({ scheme: 'none', settings: { idHeader: 'x-id' } });
    const taken = [];
    for (const n of ['0', '1', '2']) taken.push((await server.post(id, { 'x-id': n }, n)).body.delivery as string);
    await server.invoked(3);
    const again = await server.api('POST', `${path}/deliveries/${taken[1]}/redeliver`);
    expect([again.status, again.body]).toEqual([202, expect.objectContaining({ id: taken[1] })]);
    await server.invoked(4);
    const range = (body: object) => server.api('POST', `${path}/redeliver`, body);
    expect((await range({ since: 0 })).body).toEqual({ redelivered: 3, isCut: false });
    expect((await range({ since: Date.now() + 60_000 })).body).toEqual({ redelivered: 0, isCut: false });
    expect((await range({})).status).toBe(400);
    const records = await server.invoked(7);
    const counts = taken.map((one) => records.filter(({ origin }) => origin === one).length);
    expect(counts).toEqual([2, 3, 2]);
  });

  it('of a thousand are taken one by one, and each becomes one invocation', async () => {
    const server = await openHookServer();
    const { id, path } = await server.make({ scheme: 'none', settings: { idHeader: 'x-id' } });
    for (let at = 0; at < 1_000; at += 50) {
      const some = Array.from({ length: 50 }, (_, n) => server.post(id, { 'x-id': `d${at + n}` }, '{}'));
      expect((await Promise.all(some)).every(({ status }) => status === 202)).toBe(true);
    }
    const records = await server.invoked(1_000);
    expect(new Set(records.map(({ origin }) => origin)).size).toBe(1_000);
    await eventually('all are noted', async () => {
      const { deliveries } = (await server.api('GET', `${path}/deliveries?limit=999`)).body;
      return deliveries.length === 999 && deliveries.every((one: { pending: number }) => one.pending === 0);
    });
  });
});

describe('a test delivery', () => {
  const sets: Partial<Record<SchemeName, Partial<NewWebhook>>> = {
    stripe: { secret: `whsec_${SECRET}` },
    slack: { secret: SECRET },
    shopify: { secret: SECRET },
    hmac: { settings: { timestampHeader: 'x-time', idHeader: 'x-id', signed: '{id}.{timestamp}.{body}' } },
  };
  it.each(SCHEMES.filter((scheme) => scheme !== 'ed25519'))(
    'of each sender goes through the scheme %s as a real one',
    async (scheme) => {
      const server = await openHookServer();
      const { path } = await server.make({ scheme, ...sets[scheme] });
      for (const as of [undefined, ...SAMPLE_SENDERS]) {
        const { status, body } = await server.api('POST', `${path}/test`, as === undefined ? {} : { as });
        expect([as, status, body.status, body.answer.verdict]).toEqual([as, 200, 202, 'accepted']);
      }
      const records = await server.invoked(SAMPLE_SENDERS.length + 1);
      expect(await server.eventOf(records[0]!)).toMatchObject({ isBase64: false, event: expect.any(Object) });
    },
  );

  it('is refused where only the sender can sign', async () => {
    const server = await openHookServer();
    const { path } = await server.make({ scheme: 'ed25519', secret: PUBLIC_KEY });
    expect((await server.api('POST', `${path}/test`, {})).body).toMatchObject({
      code: 'conflict',
      hint: expect.any(String),
    });
  });

  it('of a disabled webhook tells what its sender would be told', async () => {
    const server = await openHookServer();
    const { path } = await server.make({ disabled: true });
    const { status, body } = await server.api('POST', `${path}/test`, {});
    expect([status, body.status, body.answer.code]).toEqual([200, 403, 'webhook_disabled']);
  });
});
