/** CloudEvents on the routes that take events with a key. */
import { describe, expect, test } from 'vitest';
import type { AcceptRequest } from '../../../services/core/invocations/durable/types.ts';
import { createFakePlatform } from '../../helpers/fake-platform.ts';
import { appWithLimits, testApp } from './helper.ts';

const url = '/v1/functions/hello';
const EVENT = { specversion: '1.0', id: '1', source: '/orders', type: 'made' };
const BINARY = { 'ce-specversion': '1.0', 'ce-id': '1', 'ce-source': '/orders', 'ce-type': 'made' };
const STRUCTURED = { 'content-type': 'application/cloudevents+json' };
const BATCH = { 'content-type': 'application/cloudevents-batch+json' };

/** Notes what is accepted; accepted calls themselves have tests of their own. */
async function acceptingApp() {
  const accepted: AcceptRequest[] = [];
  const { durable } = createFakePlatform();
  const accept = async (request: AcceptRequest) => {
    accepted.push(request);
    return { kind: 'accepted' as const, id: `inv_${accepted.length}` };
  };
  const acceptAll = async (requests: AcceptRequest[]) => Promise.all(requests.map(accept));
  const app = await testApp({ durable: { ...durable, accept, acceptAll } as typeof durable });
  return { ...app, accepted, events: () => accepted.map(({ body }) => JSON.parse(String(body)) as unknown) };
}

describe('a CloudEvent', () => {
  test.each([
    [
      'binary with JSON',
      { ...BINARY, 'content-type': 'application/json' },
      '{"n":1}',
      { datacontenttype: 'application/json', data: { n: 1 } },
    ],
    [
      'binary with text',
      { ...BINARY, 'content-type': 'text/plain' },
      'hi',
      { datacontenttype: 'text/plain', data: 'hi' },
    ],
    [
      'binary with bytes',
      { ...BINARY, 'content-type': 'image/png' },
      Buffer.from([255]),
      { datacontenttype: 'image/png', data_base64: '/w==' },
    ],
    ['binary without data', BINARY, undefined, {}],
    ['structured', STRUCTURED, JSON.stringify({ ...EVENT, data: [1] }), { data: [1] }],
  ])(
    'that is %s comes to the handler in the JSON format, by every route that takes one',
    async (_mode, headers, payload, more) => {
      const { send, platform, events } = await acceptingApp();
      const sent = { method: 'POST' as const, headers, ...(payload !== undefined && { payload }) };
      expect((await send({ ...sent, url: `${url}/invoke` })).statusCode).toBe(200);
      const request = platform.calls[0]?.request;
      expect(JSON.parse(String(request?.kind === 'event' && request.body))).toEqual({ ...EVENT, ...more });
      expect((await send({ ...sent, url: `${url}/async` })).statusCode).toBe(202);
      const later = { ...headers, prefer: 'respond-async' };
      expect((await send({ ...sent, headers: later, url: `${url}/invoke` })).statusCode).toBe(202);
      expect(events()).toEqual([
        { ...EVENT, ...more },
        { ...EVENT, ...more },
      ]);
    },
  );

  test('in a batch becomes an invocation of its own; a batch is not one event, nor is one event a batch', async () => {
    const { send, events, accepted } = await acceptingApp();
    const payload = JSON.stringify([EVENT, { ...EVENT, id: '2' }]);
    const answer = await send({ method: 'POST', url: `${url}/batch`, headers: BATCH, payload });
    expect([answer.statusCode, answer.json().accepted]).toEqual([202, 2]);
    expect(events()).toEqual([EVENT, { ...EVENT, id: '2' }]);
    const big = JSON.stringify([{ ...EVENT, data: 0 }]).replace('"data":0', '"data":12345678901234567890');
    await send({ method: 'POST', url: `${url}/batch`, headers: BATCH, payload: big });
    expect(`[${accepted.pop()?.body}]`).toBe(big);
    for (const route of ['invoke', 'async']) {
      const refused = await send({ method: 'POST', url: `${url}/${route}`, headers: BATCH, payload });
      expect(refused.json()).toMatchObject({ status: 415, hint: expect.stringContaining('/batch') });
    }
    for (const headers of [STRUCTURED, { ...BINARY, 'content-type': 'application/json' }]) {
      const one = await send({ method: 'POST', url: `${url}/batch`, headers, payload: JSON.stringify(EVENT) });
      expect(one.json()).toMatchObject({ status: 415, code: 'unsupported_media_type' });
    }
    for (const empty of ['[]', '[1]', '{}']) {
      const wrong = await send({ method: 'POST', url: `${url}/batch`, headers: BATCH, payload: empty });
      expect([empty, wrong.statusCode]).toEqual([empty, 400]);
    }
    expect(events()).toHaveLength(2);
  });

  test.each([
    ['that is malformed', STRUCTURED, '{"specversion":"1.0"}', 400, 'invalid_request'],
    ['in another format', { 'content-type': 'application/cloudevents+protobuf' }, 'x', 415, 'unsupported_media_type'],
    ['that is too deep', STRUCTURED, `${'['.repeat(5_000)}${']'.repeat(5_000)}`, 400, 'invalid_json'],
    [
      'that lacks a header, and is no JSON',
      { 'ce-specversion': '1.0', 'content-type': 'text/plain' },
      'x',
      415,
      'unsupported_media_type',
    ],
    [
      'that is larger in base64 than an event may be',
      { ...BINARY, 'content-type': 'image/png' },
      Buffer.alloc(900),
      413,
      'payload_too_large',
    ],
  ])('%s is refused, and nothing runs', async (_what, headers, payload, status, code) => {
    const { send, platform } = await appWithLimits({ invokeBytes: 1_000 });
    const limits = payload.length > 1_000 ? await testApp() : { send, platform };
    const answer = await limits.send({ method: 'POST', url: `${url}/invoke`, headers, payload });
    expect([answer.statusCode, answer.json().code]).toEqual([status, code]);
    expect(limits.platform.calls).toEqual([]);
  });

  test('of bytes with many brackets is not deep', async () => {
    const { send } = await testApp();
    const headers = { ...BINARY, 'content-type': 'image/png' };
    expect((await send({ method: 'POST', url: `${url}/invoke`, headers, payload: '['.repeat(5_000) })).statusCode).toBe(
      200,
    );
  });
});
