import { describe, expect, test } from 'vitest';
import { WaferError } from '../../../services/core/errors.ts';
import { testApp } from './helper.ts';

const jsonType = { 'content-type': 'application/json' };

describe('names', () => {
  const long = 'a'.repeat(64);
  const huge = 'a'.repeat(10_000);
  test.each([
    '..%2fx',
    '%2e%2e%2f',
    'a%2Fb',
    '-a',
    'A',
    'a_b',
    'a.b',
    'a%00b',
    '%E2%80%AEabc',
    'h%D0%B5llo',
    '%F0%9F%90%99',
    'e%CC%81',
    '%20',
    long,
    huge,
  ])('%s is refused as a function, and nothing is asked for it', async (name) => {
    const { send, platform } = await testApp();
    for (const url of [`/v1/functions/${name}`, `/v1/functions/${name}/invoke`, `/fn/${name}`, `/fn/${name}/x`]) {
      const answer = await send({ method: url.endsWith('invoke') ? 'POST' : 'GET', url });
      expect([url, answer.statusCode, answer.json().code]).toEqual([url, 400, 'invalid_name']);
    }
    expect(platform.calls).toHaveLength(0);
  });

  test.each(['constructor', 'con', 'prototype', 'valueof'])('%s is a name like any other', async (name) => {
    const { send } = await testApp();
    expect((await send({ url: `/v1/functions/${name}` })).json()).toMatchObject({ code: 'function_not_found' });
  });

  test.each(['__proto__', 'LIVE', '12', 'a%2Fb'])('%s is refused as an alias', async (alias) => {
    const { send } = await testApp();
    const url = `/v1/functions/hello/aliases/${alias}`;
    const answer = await send({ method: 'PUT', url, payload: { version: 1 } });
    expect([answer.statusCode, answer.json().code]).toEqual([400, 'invalid_name']);
  });

  test('a bad percent encoding is a bad request', async () => {
    const { send } = await testApp();
    expect((await send({ url: '/v1/functions/%zz' })).json()).toMatchObject({ status: 400, code: 'invalid_request' });
  });
});

describe('bodies', () => {
  const url = '/v1/functions/hello/aliases/live';
  const put = async (payload: string, headers: Record<string, string> = jsonType) => {
    const { send, platform } = await testApp();
    const answer = await send({ method: 'PUT', url, headers, payload });
    await expect(platform.functions.get('hello')).resolves.toMatchObject({ aliases: { live: 2 } });
    return answer.json();
  };

  test.each(['{', '{"version":1', '{"version":1}}', '', "{'version':1}", '{"__proto__":{},"version":1}'])(
    'that are not JSON are refused: %j',
    async (payload) => {
      expect(await put(payload)).toMatchObject({ status: 400, code: 'invalid_json' });
    },
  );

  test.each(['-1', '0', '1e308', '"2"', '1.1', '9007199254740992', 'true', 'null', '[1]', '{}'])(
    'with the version %s are refused, naming the place; nothing is coerced',
    async (version) => {
      const problem = await put(`{"version":${version}}`);
      expect(problem).toMatchObject({ status: 400, code: 'invalid_request', details: { path: 'body/version' } });
      expect(problem.detail).toContain('body/version');
    },
  );

  test.each(['tenantId', 'uid', 'mounts', 'capAdd'])(
    'with the unknown field %s are refused, not trimmed',
    async (field) => {
      const problem = await put(JSON.stringify({ version: 1, [field]: 1 }));
      expect(problem).toMatchObject({ code: 'invalid_request', details: { path: `body/${field}` } });
    },
  );

  test('larger than the limit are refused with 413', async () => {
    expect(await put(JSON.stringify({ version: 1, x: 'y'.repeat(70_000) }))).toMatchObject({
      status: 413,
      code: 'payload_too_large',
    });
  });

  test.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'application/json\tx',
    'application/json garbage',
    'nonsense',
    'multipart/form-data',
  ])('of the type %j are refused with 415', async (type) => {
    expect(await put('{"version":1}', { 'content-type': type })).toMatchObject({
      status: 415,
      code: 'unsupported_media_type',
    });
  });

  test.each(['gzip', 'br', 'gzip, gzip', 'x'])(
    'with the content encoding %s are refused with 415',
    async (encoding) => {
      expect(await put('{"version":1}', { ...jsonType, 'content-encoding': encoding })).toMatchObject({ status: 415 });
    },
  );
});

describe('query strings', () => {
  test.each([
    'limit=-1',
    'limit=1e9',
    'limit=',
    'limit=0',
    'limit=1000',
    'limit=1&limit=2',
    'offset=1',
    'limit[a]=1',
    'outcome=nope',
    'function=..',
  ])('/v1/invocations?%s is refused', async (query) => {
    const { send } = await testApp();
    const answer = await send({ url: `/v1/invocations?${query}` });
    expect([answer.statusCode, answer.json().code]).toEqual([400, 'invalid_request']);
  });

  test('a hundred levels deep or in any script are just unknown', async () => {
    const { send } = await testApp();
    for (const query of [
      `a${'[b]'.repeat(100)}=1`,
      `${encodeURIComponent('ключ🐙')}=1`,
      '__proto__[x]=1',
      '&'.repeat(5000),
    ]) {
      const { statusCode } = await send({ url: `/v1/invocations?${query}` });
      expect([200, 400]).toContain(statusCode);
    }
  });
});

describe('routes', () => {
  test('an unknown path is 404 with a problem document', async () => {
    const { send } = await testApp();
    const answer = await send({ url: '/v1/nothing' });
    expect(answer.statusCode).toBe(404);
    expect(answer.headers['content-type']).toContain('application/problem+json');
    expect(answer.json()).toMatchObject({ code: 'not_found', status: 404, title: 'Not found' });
  });

  test.each([
    ['POST', '/v1/functions', 'GET, HEAD'],
    ['POST', '/v1/functions/hello', 'DELETE, GET, HEAD, PUT'],
    ['GET', '/v1/functions/hello/invoke', 'POST'],
    ['TRACE', '/v1/functions/hello', 'DELETE, GET, HEAD, PUT'],
    ['TRACE', '/fn/hello/x', 'DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT'],
  ] as const)('%s %s is 405 and says what is allowed', async (method, url, allow) => {
    const { send } = await testApp();
    const answer = await send({ method: method as 'GET', url });
    expect(answer.statusCode).toBe(405);
    expect(answer.headers['allow']).toBe(allow);
    expect(answer.json()).toMatchObject({ code: 'method_not_allowed' });
  });

  test('no header overrides the method', async () => {
    const { send } = await testApp();
    const headers = { 'x-http-method-override': 'DELETE', 'x-method-override': 'DELETE' };
    expect((await send({ method: 'GET', url: '/v1/functions/hello', headers })).statusCode).toBe(200);
    expect((await send({ url: '/v1/functions/hello' })).statusCode).toBe(200);
  });
});

describe('platform failures', () => {
  test('the text of an unregistered error stays inside', async () => {
    const { send, platform } = await testApp();
    platform.handler = () => {
      throw new Error('secret path /home/ada');
    };
    const answer = await send({ method: 'POST', url: '/v1/functions/hello/invoke' });
    expect(answer.statusCode).toBe(500);
    expect(answer.json()).toMatchObject({ code: 'internal', invocation: answer.headers['x-wafer-invocation'] });
    expect(answer.body).not.toContain('secret');
  });

  test.each([
    ['overloaded', 429],
    ['sandbox_failed', 503],
    ['engine_failed', 503],
    ['shutting_down', 503],
    ['store_unavailable', 503],
  ] as const)('%s is %i with Retry-After and the id of the call', async (code, status) => {
    const { send, platform } = await testApp();
    platform.handler = () => {
      throw new WaferError(code, 'Not now.', { hint: 'Later.' });
    };
    for (const [method, url] of [
      ['POST', '/v1/functions/hello/invoke'],
      ['GET', '/fn/hello'],
    ] as const) {
      const answer = await send({ method, url });
      expect(answer.statusCode).toBe(status);
      expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
      expect(answer.json()).toMatchObject({ code, detail: 'Not now.', hint: 'Later.' });
      expect(answer.json().invocation).toMatch(/^inv_/);
    }
    expect(platform.records).toHaveLength(0);
    expect(platform.counted).toEqual(Array(2).fill(`refused ${code}`));
  });

  test('/readyz is 503 with the checks while a part is down; /healthz is not', async () => {
    const { app, platform } = await testApp();
    platform.readiness = { ok: false, checks: [{ name: 'redis', ok: false, message: 'gone' }] };
    const ready = await app.inject({ url: '/readyz' });
    expect([ready.statusCode, ready.json()]).toEqual([503, platform.readiness]);
    expect((await app.inject({ url: '/healthz' })).statusCode).toBe(200);
  });
});
