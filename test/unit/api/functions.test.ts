import { describe, expect, test } from 'vitest';
import { testApp } from './helper.ts';

describe('functions', () => {
  test('are listed and described with their live version', async () => {
    const { send } = await testApp();
    expect((await send({ url: '/v1/functions' })).json().functions).toMatchObject([
      { name: 'hello' },
      { name: 'other' },
    ]);
    expect((await send({ url: '/v1/functions/hello' })).json()).toMatchObject({
      name: 'hello',
      latest: 2,
      live: { number: 2, config: { runtime: 'node' } },
    });
  });

  test('roll back by moving the alias', async () => {
    const { send } = await testApp();
    const url = '/v1/functions/hello/aliases/live';
    expect((await send({ method: 'PUT', url, payload: { version: 1 } })).json()).toMatchObject({
      aliases: { live: 1 },
    });
    expect((await send({ url: '/v1/functions/hello' })).json()).toMatchObject({ live: { number: 1 } });
    expect((await send({ url: '/v1/functions/hello/versions' })).json()).toMatchObject({
      versions: [{ number: 1 }, { number: 2 }],
      aliases: { live: 1 },
    });
    const wrong = await send({ method: 'PUT', url, payload: { version: 9 } });
    expect([wrong.statusCode, wrong.json().code]).toEqual([404, 'version_not_found']);
  });

  test('are removed with 204, and are gone', async () => {
    const { send } = await testApp();
    const removed = await send({ method: 'DELETE', url: '/v1/functions/hello' });
    expect([removed.statusCode, removed.body]).toEqual([204, '']);
    expect((await send({ url: '/v1/functions/hello' })).statusCode).toBe(404);
    expect((await send({ method: 'DELETE', url: '/v1/functions/hello' })).json()).toMatchObject({
      code: 'function_not_found',
    });
  });

  test('HEAD answers like GET without a body', async () => {
    const { send } = await testApp();
    const answer = await send({ method: 'HEAD', url: '/v1/functions' });
    expect([answer.statusCode, answer.body]).toEqual([200, '']);
  });
});

describe('explain', () => {
  test('tells the times of the live version, or of the one that is asked for', async () => {
    const { send, platform } = await testApp();
    for (const path of ['', '', '?version=1']) await send({ method: 'POST', url: `/v1/functions/hello/invoke${path}` });
    const live = await send({ url: '/v1/functions/hello/explain' });
    expect([live.statusCode, live.json()]).toMatchObject([
      200,
      { functionName: 'hello', version: 2, kinds: { warm: { calls: 2, wall: { p50: 1.75 } } }, causes: {}, advice: [] },
    ]);
    expect(live.json().facts).toEqual(await platform.dispatcher.startFacts(await platform.functions.resolve('hello')));
    expect((await send({ url: '/v1/functions/hello/explain?version=1' })).json()).toMatchObject({
      version: 1,
      kinds: { warm: { calls: 1 } },
    });
  });

  test.each([
    ['/v1/functions/nope/explain', 404, 'function_not_found'],
    ['/v1/functions/hello/explain?version=9', 404, 'version_not_found'],
    ['/v1/functions/hello/explain?alias=nope', 404, 'alias_not_found'],
    ['/v1/functions/hello/explain?version=1&alias=live', 400, 'invalid_request'],
  ])('of %s is %i %s', async (url, status, code) => {
    const { send } = await testApp();
    const answer = await send({ url });
    expect([answer.statusCode, answer.json().code]).toEqual([status, code]);
  });
});

describe('logs', () => {
  test('are NDJSON, or server-sent events when asked for', async () => {
    const { send, platform } = await testApp();
    platform.write('one');
    platform.write('two\nlines');
    const plain = await send({ url: '/v1/functions/hello/logs' });
    expect(plain.headers['content-type']).toBe('application/x-ndjson');
    expect(
      plain.body
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line).text),
    ).toEqual(['one', 'two\nlines']);
    const events = await send({ url: '/v1/functions/hello/logs', headers: { accept: 'text/event-stream' } });
    expect(events.headers['content-type']).toBe('text/event-stream');
    expect(events.body).toMatch(/^id: 1000-0\ndata: \{.*"text":"one".*\}\n\nid: 1000-1\ndata: /);
  });

  test('are cut by limit, since, invocation and after', async () => {
    const { send, platform } = await testApp();
    const id = `inv_${'0'.repeat(26)}`;
    platform.write('a');
    platform.write('b', id);
    platform.write('c');
    const texts = async (query: string, headers = {}) =>
      (await send({ url: `/v1/functions/hello/logs?${query}`, headers })).body
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line).text);
    expect(await texts('limit=1')).toEqual(['c']);
    expect(await texts(`invocation=${id}`)).toEqual(['b']);
    expect(await texts('since=1001')).toEqual([]);
    expect(await texts('since=1970-01-01T00:00:01Z')).toEqual(['a', 'b', 'c']);
    expect(await texts('after=1000-1')).toEqual(['c']);
    expect(await texts('', { 'last-event-id': '1000-0' })).toEqual(['b', 'c']);
  });

  test.each([
    'since=yesterday',
    'since=2026-99-99T00:00:00Z',
    'since=-1',
    'follow=yes',
    'limit=100000',
    'invocation=x',
    'after=x',
  ])('with %s are refused', async (query) => {
    const { send } = await testApp();
    expect((await send({ url: `/v1/functions/hello/logs?${query}` })).json()).toMatchObject({
      code: 'invalid_request',
    });
  });

  test('of what does not exist are 404', async () => {
    const { send } = await testApp();
    expect((await send({ url: '/v1/functions/nope/logs' })).json()).toMatchObject({ code: 'function_not_found' });
    const url = `/v1/invocations/inv_${'0'.repeat(26)}`;
    expect((await send({ url })).json()).toMatchObject({ code: 'invocation_not_found' });
    expect((await send({ url: `${url}/logs?follow=true` })).json()).toMatchObject({ code: 'invocation_not_found' });
  });
});

describe('/', () => {
  test('is one page that loads nothing and shows no strange host', async () => {
    const { app } = await testApp();
    const answer = await app.inject({ url: '/', headers: { host: '"><script>alert(1)</script>' } });
    expect(answer.headers['content-type']).toContain('text/html');
    expect(answer.body).not.toContain('<script');
    expect(answer.body).not.toMatch(/(src|href)="(https?:)?\/\//);
    expect(answer.body).toContain('href="/docs"');
  });
});
