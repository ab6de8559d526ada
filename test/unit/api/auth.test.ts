import { describe, expect, test } from 'vitest';
import { AUTH, TEST_KEY } from '../../helpers/fake-platform.ts';
import { testApp } from './helper.ts';

const OPEN = [
  '/',
  '/healthz',
  '/readyz',
  '/openapi.json',
  '/docs',
  '/docs/',
  '/docs/static/swagger-ui.css',
  '/docs/json',
];
const CLOSED = [
  ['GET', '/v1/functions'],
  ['PUT', '/v1/functions/hello'],
  ['DELETE', '/v1/functions/hello'],
  ['POST', '/v1/functions/hello/invoke'],
  ['PUT', '/v1/functions/hello/aliases/live'],
  ['GET', '/v1/invocations'],
  ['GET', '/v1/images'],
  ['GET', '/v1/instances'],
  ['GET', '/fn/hello'],
  ['POST', '/fn/hello/a/b'],
  ['OPTIONS', '/fn/hello/a'],
  ['GET', '/metrics'],
  ['GET', '/nothing-here'],
  ['GET', '/docs/../v1/functions'],
  ['GET', '/%64ocs/%2e%2e/v1/functions'],
] as const;

describe('the key', () => {
  test.each(OPEN)('is not needed for %s', async (url) => {
    const { app } = await testApp();
    expect((await app.inject({ url })).statusCode).toBe(200);
  });

  test.each(CLOSED)('is needed for %s %s', async (method, url) => {
    const { app, platform } = await testApp();
    const answer = await app.inject({ method, url });
    expect(answer.statusCode).toBe(401);
    expect(answer.headers['www-authenticate']).toBe('Bearer');
    expect(answer.json()).toMatchObject({ code: 'unauthorized' });
    expect(platform.calls).toHaveLength(0);
  });

  test.each([
    ['nothing', undefined],
    ['an empty header', ''],
    ['only the scheme', 'Bearer'],
    ['another scheme', `Basic ${Buffer.from(`x:${TEST_KEY}`).toString('base64')}`],
    ['the key without a scheme', TEST_KEY],
    ['a wrong key', `Bearer ${TEST_KEY.slice(0, -1)}x`],
    ['a shortened key', `Bearer ${TEST_KEY.slice(0, -1)}`],
    ['a lengthened key', `Bearer ${TEST_KEY}0`],
    ['the key in other case', `Bearer ${TEST_KEY.toUpperCase()}`],
    ['two keys', `Bearer ${TEST_KEY} ${TEST_KEY}`],
  ])('given as %s is refused with the very same body', async (_what, authorization) => {
    const { app } = await testApp();
    const none = await app.inject({ url: '/v1/functions' });
    const headers = authorization === undefined ? {} : { authorization };
    const answer = await app.inject({ url: '/v1/functions', headers });
    expect(answer.statusCode).toBe(401);
    expect(answer.body).toBe(none.body);
  });

  test('in the query string does not count', async () => {
    const { app } = await testApp();
    expect((await app.inject({ url: `/v1/functions?key=${TEST_KEY}` })).statusCode).toBe(401);
  });

  test('opens with the scheme in any case', async () => {
    const { app } = await testApp();
    const headers = { authorization: AUTH.authorization.replace('Bearer', 'bEARER') };
    expect((await app.inject({ url: '/v1/functions', headers })).statusCode).toBe(200);
  });

  test('is asked for before the body is looked at', async () => {
    const { app } = await testApp();
    const headers = { 'content-type': 'application/json' };
    const answer = await app.inject({ method: 'PUT', url: '/v1/functions/hello', headers, payload: '{' });
    expect(answer.statusCode).toBe(401);
  });
});

describe('answers of the platform', () => {
  test.each(['/', '/healthz', '/v1/functions', '/nothing'])('%s carries the security headers', async (url) => {
    const { send } = await testApp();
    const { headers } = await send({ url });
    expect(headers).toMatchObject({ 'x-content-type-options': 'nosniff', 'x-frame-options': 'DENY' });
    expect(headers['content-security-policy']).toContain("default-src 'none'");
    expect(headers).not.toHaveProperty('x-powered-by');
    expect(headers).not.toHaveProperty('server');
  });
});
