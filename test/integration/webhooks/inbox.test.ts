/** What a sender is told is on disk; it becomes one invocation, whatever crashes in between. */
import { describe, expect, it } from 'vitest';
import { WaferError } from '../../../services/core/errors.ts';
import { newDeliveryId } from '../../../services/core/ids.ts';
import { forgetStrays } from '../../../services/core/invocations/durable/sweep.ts';
import { eventually } from '../../helpers/redis.ts';
import { ok } from '../durable/lab.ts';
import { githubHeaders, openWebhookLab, type WebhookLab } from './lab.ts';

const HOUR = 3_600_000;
const DUE = 'wafer:{default}:dlvs-due';

const due = (lab: WebhookLab) => lab.durable.redis.connection.redis.zcard(DUE);
const only = async (lab: WebhookLab, id: string) => (await lab.webhooks.deliveries(id, { limit: 100 })).deliveries;

describe('a delivery', () => {
  it('becomes an invocation whose event has type, ids, headers, body and what is in it', async () => {
    const lab = await openWebhookLab();
    const { id } = await lab.add();
    const body = '{"action":"opened","big":12345678901234567890}';
    const received = await lab.github(id, 'guid-1', body);
    expect(received).toEqual({ verdict: 'accepted', delivery: expect.stringMatching(/^dlv_/) });
    const [record] = await lab.invoked(1);
    expect(record).toMatchObject({ trigger: 'webhook', origin: (received as { delivery: string }).delivery });
    expect(await lab.eventOf(record!)).toMatchObject({
      type: 'pull_request.opened',
      deliveryId: 'guid-1',
      delivery: record?.origin,
      webhook: 'w',
      receivedAt: expect.any(Number),
      event: { action: 'opened' },
      body,
      isBase64: false,
      headers: { 'x-github-event': 'pull_request' },
    });
    expect(String(await lab.durable.calls.readBody(record!, 'event'))).toContain(
      '"event":{"action":"opened","big":12345678901234567890}',
    );
    await eventually('it is noted', async () => (await due(lab)) === 0);
    expect(await only(lab, id)).toMatchObject([{ verdict: 'accepted', pending: 0, invocations: [{ id: record?.id }] }]);
  });

  it('that comes again is told apart by its name, also ten times at once, and runs once', async () => {
    const lab = await openWebhookLab();
    const { id } = await lab.add();
    const all = await Promise.all(Array.from({ length: 10 }, () => lab.github(id, 'guid-1')));
    const first = all.find(({ verdict }) => verdict === 'accepted');
    expect(all.filter(({ verdict }) => verdict === 'duplicate')).toEqual(
      Array(9).fill({ verdict: 'duplicate', delivery: (first as { delivery: string }).delivery }),
    );
    await lab.github(id, 'guid-2');
    const records = await lab.invoked(2);
    expect(records).toHaveLength(2);
  });

  it('is answered as it is, also when files that nobody needs any more can not be removed', async () => {
    const lab = await openWebhookLab();
    const { id } = await lab.add();
    const forget = async () => {
      throw new Error('as if the disk was broken');
    };
    const broken = lab.open({ bodies: { ...lab.durable.bodies, forget } });
    const body = '{}';
    const request = { headers: githubHeaders('guid', body), body: Buffer.from(body) };
    const verdicts = [];
    for (let n = 0; n < 2; n++) verdicts.push((await broken.receive(await broken.find(id), request)).verdict);
    expect(verdicts).toEqual(['accepted', 'duplicate']);
  });

  it('of one webhook does not stand in the way of another', async () => {
    const lab = await openWebhookLab();
    const one = await lab.add({ name: 'one' });
    const other = await lab.add({ name: 'other' });
    expect(await lab.github(one.id, 'guid')).toMatchObject({ verdict: 'accepted' });
    expect(await lab.github(other.id, 'guid')).toMatchObject({ verdict: 'accepted' });
  });

  it('that is large lies in a file, and one of bytes comes as base64', async () => {
    const lab = await openWebhookLab();
    const { id } = await lab.add({ scheme: 'none' });
    const bytes = Buffer.alloc(100_000, 0xff);
    await lab.send(id, { 'content-type': 'application/octet-stream' }, bytes);
    const [record] = await lab.invoked(1);
    expect(await lab.eventOf(record!)).toMatchObject({ isBase64: true, body: bytes.toString('base64'), event: null });
    const [delivery] = await only(lab, id);
    expect(delivery?.body).not.toHaveProperty('inline');
    expect((await lab.webhooks.delivery(id, delivery!.id)).body).toEqual(bytes);
  });

  it('keeps its file as long as it is there itself; a file whose delivery was never written goes', async () => {
    const lab = await openWebhookLab();
    const { id } = await lab.add({ scheme: 'none' });
    const bytes = Buffer.alloc(100_000, 'x');
    const { delivery } = (await lab.send(id, {}, bytes)) as { delivery: string };
    await lab.invoked(1); // its event is a file, too, and would be a stray while it is written
    const { bodies, redis } = lab.durable;
    const stray = newDeliveryId();
    const body = await bodies.put(stray, 'body', bytes, 'text/plain');
    await forgetStrays(redis.connection.redis, bodies, { olderThanMs: -60_000 });
    expect((await lab.webhooks.delivery('w', delivery)).body).toEqual(bytes);
    await expect(bodies.get(stray, 'body', body)).rejects.toMatchObject({ code: 'digest_mismatch' });
  });

  it('that no event can hold is refused, and leaves nothing', async () => {
    const lab = await openWebhookLab();
    const { id } = await lab.add({ scheme: 'none' });
    const small = lab.open({ maxEventBytes: 10_000 });
    const request = { headers: {}, body: Buffer.alloc(9_000, '"') };
    await expect(small.receive(await small.find(id), request)).rejects.toMatchObject({ code: 'payload_too_large' });
    expect(await only(lab, id)).toEqual([]);
  });

  it.each([
    [
      'a form',
      'application/x-www-form-urlencoded',
      'a=1&b=2&b=3&__proto__=4',
      '{"a":"1","b":["2","3"],"__proto__":"4"}',
    ],
    ['JSON in a form', 'application/x-www-form-urlencoded', 'payload=%7B%22a%22%3A1%7D', '{"a":1}'],
    ['JSON without a content type', undefined, '[1]', '[1]'],
    ['text', 'text/plain', 'hello', 'null'],
    ['nothing', 'application/json', '', 'null'],
  ])('with %s is parsed', async (_what, type, body, event) => {
    const lab = await openWebhookLab();
    const { id } = await lab.add({ scheme: 'none' });
    await lab.send(id, { ...(type !== undefined && { 'content-type': type }) }, body);
    const [record] = await lab.invoked(1);
    expect(String(await lab.durable.calls.readBody(record!, 'event'))).toContain(`"event":${event}}`);
  });

  it.each([
    ['JSON that is cut off', '{"a":'],
    ['a byte order mark', '\ufeff{}'],
    ['UTF-16', Buffer.from('{}', 'utf16le')],
    ['10,000 levels', '['.repeat(10_000) + ']'.repeat(10_000)],
  ])('that says it is JSON, and is %s, is refused and kept for a look', async (_what, body) => {
    const lab = await openWebhookLab();
    const { id } = await lab.add({ scheme: 'none' });
    const received = await lab.send(id, { 'content-type': 'application/json' }, body);
    expect(received).toMatchObject({ verdict: 'invalid_body', error: { code: 'invalid_json' } });
    await eventually('it is kept', async () => (await only(lab, id)).length === 1);
    expect(await lab.invocations()).toEqual([]);
  });
});

describe('a CloudEvent', () => {
  it('of any mode is the event, its type is filtered on, its source and id name it', async () => {
    const lab = await openWebhookLab();
    const { id } = await lab.add({ scheme: 'none', events: ['com.example.*'] });
    const event = { specversion: '1.0', id: '1', source: '/s', type: 'com.example.made', data: { n: 1 } };
    const structured = { 'content-type': 'application/cloudevents+json' };
    expect(await lab.send(id, structured, JSON.stringify(event))).toMatchObject({ verdict: 'accepted' });
    const binary = {
      'content-type': 'application/json',
      'ce-specversion': '1.0',
      'ce-id': '1',
      'ce-source': '/s',
      'ce-type': 'com.example.made',
    };
    expect(await lab.send(id, binary, '{"n":1}')).toMatchObject({ verdict: 'duplicate' });
    expect(await lab.send(id, { ...binary, 'ce-type': 'other', 'ce-id': '2' }, '1')).toMatchObject({
      verdict: 'filtered',
    });
    const batch = { 'content-type': 'application/cloudevents-batch+json' };
    expect(await lab.send(id, batch, JSON.stringify([event, { ...event, id: '3' }]))).toMatchObject({
      verdict: 'accepted',
    });
    expect(await lab.send(id, structured, '{"specversion":"1.0"}')).toMatchObject({ verdict: 'invalid_body' });
    const events = await Promise.all((await lab.invoked(2)).map(lab.eventOf));
    expect(events.map(({ event: one }) => one)).toEqual([event, [event, { ...event, id: '3' }]]);
  });
});

describe('a filter', () => {
  it('keeps what does not fit, without running it, until somebody redelivers it', async () => {
    const lab = await openWebhookLab();
    const { id } = await lab.add({ events: ['push', 'issues'] });
    const received = await lab.github(id, 'guid-1');
    expect(received).toMatchObject({ verdict: 'filtered' });
    expect(await due(lab)).toBe(0);
    await lab.webhooks.redeliver('w', (received as { delivery: string }).delivery);
    expect(await lab.invoked(1)).toHaveLength(1);
  });
});

describe('a crash between the inbox and the invocation', () => {
  it('loses nothing: the next round hands it over', async () => {
    const lab = await openWebhookLab();
    const { id } = await lab.add();
    // A process that is gone before it could hand anything over.
    const never = async () => {
      throw new WaferError('store_unavailable', 'as if the process had died here');
    };
    const dying = lab.open({ calls: { accept: never } });
    const webhook = await dying.find(id);
    const body = '{}';
    expect(await dying.receive(webhook, { headers: githubHeaders('g', body), body: Buffer.from(body) })).toMatchObject({
      verdict: 'accepted',
    });
    await dying.close();
    expect(await lab.invocations()).toEqual([]);
    const later = lab.open({ now: () => Date.now() + 10_000 });
    await later.round();
    expect(await lab.invocations()).toHaveLength(1);
  });

  it('doubles nothing: what was accepted and not noted is accepted again as the same', async () => {
    const lab = await openWebhookLab();
    const { id } = await lab.add();
    const { delivery } = (await lab.github(id, 'g')) as { delivery: string };
    const [record] = await lab.invoked(1);
    const { redis } = lab.durable.redis.connection;
    await eventually('it is noted', async () => (await due(lab)) === 0);
    // As after a crash before the note, and with a new version meanwhile.
    await lab.deploy('f');
    await redis.hdel(`wafer:{default}:dlv:${delivery}`, 'done', 'inv:1');
    await redis.zadd(DUE, '1', delivery);
    await lab.webhooks.round();
    expect((await only(lab, id))[0]?.invocations).toMatchObject([{ id: record?.id }]);
    expect(await lab.invocations()).toHaveLength(1);
  });

  it('two that hand over the same deliveries at once make one invocation of each', async () => {
    const lab = await openWebhookLab();
    const { id } = await lab.add();
    const others = [lab.open(), lab.open()];
    for (let n = 0; n < 20; n++) await lab.github(id, `guid-${n}`);
    const { redis } = lab.durable.redis.connection;
    for (const { id: delivery } of await only(lab, id)) await redis.zadd(DUE, 'XX', '1', delivery);
    await Promise.all([lab.webhooks, ...others].map((one) => one.round()));
    expect(await lab.invoked(20)).toHaveLength(20);
  });
});

describe('a function that is not there', () => {
  it('holds a delivery back until it is deployed again', async () => {
    const lab = await openWebhookLab();
    const { id } = await lab.add();
    await lab.functions.remove('f');
    const { delivery } = (await lab.github(id, 'g')) as { delivery: string };
    const waiting = await eventually('it is told', async () => {
      const found = await lab.webhooks.delivery('w', delivery);
      return found.delivery.error !== undefined && found.delivery;
    });
    expect(waiting).toMatchObject({ pending: 1, error: expect.stringContaining('"f"') });
    await lab.deploy('f');
    const later = lab.open({ now: () => Date.now() + HOUR });
    await later.round();
    expect(await lab.invocations()).toHaveLength(1);
    expect((await only(lab, id))[0]).not.toHaveProperty('error');
  });
});

describe('redelivery', () => {
  it('is one more invocation of the same event each time, and none of what was refused', async () => {
    const lab = await openWebhookLab();
    const { id } = await lab.add();
    const { delivery } = (await lab.github(id, 'g')) as { delivery: string };
    await lab.invoked(1);
    await lab.webhooks.redeliver('w', delivery);
    await lab.webhooks.redeliver(id, delivery);
    const records = await lab.invoked(3);
    const events = await Promise.all(records.map(lab.eventOf));
    expect(events[1]).toEqual(events[0]);
    await eventually('all are noted', async () => (await only(lab, id))[0]?.invocations.length === 3);
    await lab.send(id, githubHeaders('x', 'other'), '{}');
    const refused = await eventually(
      'it is kept',
      async () => (await only(lab, id)).find((one) => one.verdict === 'bad_signature') ?? null,
    );
    await expect(lab.webhooks.redeliver('w', refused.id)).rejects.toMatchObject({ code: 'conflict' });
    await expect(lab.webhooks.redeliver('w', newDeliveryId())).rejects.toMatchObject({ code: 'delivery_not_found' });
    await expect(lab.webhooks.redeliver('w', '../x')).rejects.toMatchObject({ code: 'delivery_not_found' });
  });

  it('of a range takes those that were received in it, and no other webhook reaches them', async () => {
    const lab = await openWebhookLab();
    const { id } = await lab.add();
    await lab.add({ name: 'other' });
    for (const guid of ['1', '2', '3']) await lab.github(id, guid);
    await lab.invoked(3);
    const [newest] = await only(lab, id);
    await expect(lab.webhooks.redeliver('other', newest!.id)).rejects.toMatchObject({ code: 'delivery_not_found' });
    const all = { since: 0, until: Date.now() + HOUR };
    expect(await lab.webhooks.redeliverRange('other', all)).toEqual({ redelivered: 0, isCut: false });
    expect(await lab.webhooks.redeliverRange('w', { since: 0, until: 1 })).toEqual({ redelivered: 0, isCut: false });
    expect(await lab.webhooks.redeliverRange('w', all)).toEqual({ redelivered: 3, isCut: false });
    expect(await lab.invoked(6)).toHaveLength(6);
  });
});

describe('what is refused', () => {
  it('is kept with its verdict, but not without end, and never stands in the way of what is good', async () => {
    const lab = await openWebhookLab();
    const { id } = await lab.add();
    const bad = () => lab.send(id, { ...githubHeaders('x', '{}'), 'x-hub-signature-256': 'sha256=00' }, '{}');
    expect(await bad()).toEqual({ verdict: 'bad_signature' });
    expect(await lab.send(id, {}, '{}')).toEqual({ verdict: 'no_signature' });
    for (let n = 0; n < 200; n++) await bad();
    expect(await bad()).toEqual({ verdict: 'too_many_refused', retryAfterMs: expect.any(Number) });
    expect(await lab.github(id, 'good')).toMatchObject({ verdict: 'accepted' });
    const kept = await eventually('they are kept', async () => {
      const { deliveries } = await lab.webhooks.deliveries(id, { limit: 1000, verdict: 'bad_signature' });
      return deliveries.length >= 19 && deliveries;
    });
    expect(kept.length).toBe(19);
    expect(await lab.invoked(1)).toHaveLength(1);
  });

  it('leaves no name behind: the real delivery with that id is still taken', async () => {
    const lab = await openWebhookLab();
    const { id } = await lab.add();
    await lab.send(id, { ...githubHeaders('guid', '{}'), 'x-hub-signature-256': 'sha256=00' }, '{}');
    expect(await lab.github(id, 'guid')).toMatchObject({ verdict: 'accepted' });
  });
});

describe('a full inbox', () => {
  it('takes nothing when Redis has memory only for what was accepted before', async () => {
    const lab = await openWebhookLab();
    const { id } = await lab.add();
    const assert = () => {
      throw new WaferError('store_unavailable', 'as if Redis was nearly full');
    };
    const full = lab.open({ headroom: { assert } });
    const request = { headers: githubHeaders('g', '{}'), body: Buffer.from('{}') };
    await expect(full.receive(await full.find(id), request)).rejects.toMatchObject({ code: 'store_unavailable' });
    expect(await only(lab, id)).toEqual([]);
    expect(await lab.github(id, 'g', '{}')).toMatchObject({ verdict: 'accepted' });
  });

  it('refuses instead of growing, and takes more when there is room', async () => {
    const lab = await openWebhookLab();
    const { id } = await lab.add({ scheme: 'none' });
    const { redis } = lab.durable.redis.connection;
    const waiting = Array.from({ length: 10_000 }, (_, n) => [
      String(Date.now() + HOUR),
      `dlv_of_the_test_${n}`,
    ]).flat();
    await redis.zadd(DUE, ...(waiting as [string, string]));
    await expect(lab.send(id, {}, Buffer.alloc(50_000))).rejects.toMatchObject({ code: 'overloaded' });
    expect(await only(lab, id)).toEqual([]);
    await redis.del(DUE);
    expect(await lab.send(id, {}, 'x')).toMatchObject({ verdict: 'accepted' });
  });
});

describe('retention', () => {
  it('keeps the newest 1,000, and nothing older than a week but what still has to run', async () => {
    const lab = await openWebhookLab();
    const { id } = await lab.add({ events: ['nothing'] });
    const old = lab.open({ now: () => Date.now() - 8 * 24 * HOUR });
    const receive = async (one: typeof old, guid: string, body: string) =>
      one.receive(await one.find(id), { headers: githubHeaders(guid, body), body: Buffer.from(body) });
    await receive(old, 'old', `"${'x'.repeat(50_000)}"`);
    const [before] = await only(lab, id);
    expect(before?.verdict).toBe('filtered');
    for (let n = 0; n < 1_005; n++) await receive(lab.webhooks, `guid-${n}`, '{}');
    const { deliveries } = await lab.webhooks.deliveries(id, { limit: 1_000 });
    expect(deliveries).toHaveLength(1_000);
    // Those of one millisecond are in no order.
    const kept = new Set(deliveries.map(({ deliveryId }) => deliveryId));
    for (let n = 100; n < 1_005; n++) expect(kept).toContain(`guid-${n}`);
    await expect(lab.webhooks.delivery(id, before!.id)).rejects.toMatchObject({ code: 'delivery_not_found' });
    const later = lab.open({ now: () => Date.now() + 8 * 24 * HOUR });
    await later.forget();
    await later.forget();
    await later.forget();
    expect(await only(lab, id)).toEqual([]);
  });

  it('goes with its webhook', async () => {
    const lab = await openWebhookLab();
    const { id } = await lab.add();
    await lab.github(id, 'g');
    await lab.invoked(1);
    await lab.webhooks.remove('w');
    await expect(lab.webhooks.find(id)).rejects.toMatchObject({ code: 'webhook_not_found' });
    const left = await lab.durable.redis.connection.redis.keys('*hook*');
    expect(left).toEqual([]);
    expect(await lab.durable.redis.connection.redis.keys('*dlv:*')).toEqual([]);
  });
});

describe('definitions', () => {
  it('never show a secret, but one that was made, once', async () => {
    const lab = await openWebhookLab();
    const { secret } = await lab.add({ scheme: 'standard' });
    expect(secret).toMatch(/^whsec_/);
    const shown = JSON.stringify([await lab.webhooks.get('w'), await lab.webhooks.list()]);
    expect(shown).not.toContain(secret);
    expect(shown).not.toContain(secret?.slice(6));
  });

  it('take a new secret beside the old one, which ends in its time', async () => {
    const lab = await openWebhookLab();
    const { id } = await lab.add();
    await lab.webhooks.rotate('w', { secret: 'another-secret-of-the-sender', keepMs: HOUR });
    expect(await lab.github(id, '1')).toMatchObject({ verdict: 'accepted' });
    const later = lab.open({ now: () => Date.now() + 2 * HOUR });
    const request = { headers: githubHeaders('2', '{}'), body: Buffer.from('{}') };
    expect(await later.receive(await later.find(id), request)).toEqual({ verdict: 'bad_signature' });
    await lab.webhooks.rotate('w', { secret: 'a-third-secret-of-the-sender', keepMs: 0 });
    expect((await lab.webhooks.get('w')).secrets).toHaveLength(1);
  });

  it.each([
    ['a name that is none', { name: '../x' }, 'invalid_name'],
    ['a name that is taken', { name: 'taken' }, 'conflict'],
    ['a function that is not there', { functionName: 'g' }, 'function_not_found'],
    ['an alias that is not there', { alias: 'canary' }, 'alias_not_found'],
    ['a secret to guess', { secret: 'short' }, 'invalid_request'],
    ['a setting of another scheme', { settings: { header: 'x' } }, 'invalid_request'],
    ['a filter of spaces', { events: ['a b'] }, 'invalid_request'],
    ['a scheme whose secret is not given', { scheme: 'stripe', secret: undefined }, 'invalid_request'],
    ['no public key', { scheme: 'ed25519', secret: 'x'.repeat(64) }, 'invalid_request'],
    ['a secret of another scheme', { scheme: 'standard', secret: '!'.repeat(64) }, 'invalid_request'],
    [
      'a time stamp that is not signed',
      { scheme: 'hmac', settings: { timestampHeader: 'x-t', signed: '{body}' } },
      'invalid_request',
    ],
    [
      'parts that can be shifted',
      { scheme: 'hmac', settings: { idHeader: 'x-i', signed: '{id}{body}' } },
      'invalid_request',
    ],
    ['a header that is none', { scheme: 'hmac', settings: { header: 'x y' } }, 'invalid_request'],
  ])('refuse %s, and keep nothing', async (_what, more, code) => {
    const lab = await openWebhookLab();
    await lab.add({ name: 'taken' });
    await expect(lab.add(more as never)).rejects.toMatchObject({ code });
    expect(await lab.webhooks.list()).toHaveLength(1);
  });
});

describe('an invocation of a webhook', () => {
  it('runs as every accepted call does', async () => {
    const lab = await openWebhookLab();
    const { id } = await lab.add();
    lab.durable.work(async ({ event }) => ok(JSON.stringify((JSON.parse(String(event)) as { type: string }).type)));
    await lab.github(id, 'g');
    const [record] = await lab.invoked(1);
    const ended = await lab.durable.calls.wait(record!.id, 60_000, new AbortController().signal);
    expect(ended.state).toBe('succeeded');
    expect(String(await lab.durable.calls.readBody(ended, 'result'))).toBe('"pull_request.opened"');
  });
});
