/** Bytes that no proper client sends. Each must be answered or cut, and leave the server well. */
import { describe, expect, test } from 'vitest';
import { head, startApi } from '../../helpers/api-server.ts';
import { TEST_KEY } from '../../helpers/fake-platform.ts';

const auth = `Authorization: Bearer ${TEST_KEY}`;
const invoke = (...headers: string[]) => head('POST /v1/functions/hello/invoke', ...headers);

/** Status of each answer on the connection. */
const statuses = (text: string) => [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => Number(status));

describe('requests that are not proper HTTP', () => {
  test.each([
    [
      'two different lengths',
      `${invoke('Content-Type: application/json', 'Content-Length: 2', 'Content-Length: 4')}\r\n\r\n{}  `,
    ],
    [
      'length and chunked at once',
      `${invoke('Content-Type: application/json', 'Content-Length: 2', 'Transfer-Encoding: chunked')}\r\n\r\n0\r\n\r\n`,
    ],
    ['a folded header', `${invoke('X-A: b\r\n c', 'Content-Length: 0')}\r\n\r\n`],
    ['bare line feeds', `GET /healthz HTTP/1.1\nHost: x\n\n`],
    ['NUL in a header', `${head('GET /healthz', 'X-A: b\0c')}\r\n\r\n`],
    ['a control character in the path', `GET /fn/he\x01llo HTTP/1.1\r\nHost: x\r\n${auth}\r\n\r\n`],
    ['a space in the path', `GET /fn/hello/a b HTTP/1.1\r\nHost: x\r\n${auth}\r\n\r\n`],
    ['a space before the colon', `${head('GET /healthz', 'X-A : b')}\r\n\r\n`],
    ['a negative length', `${invoke('Content-Length: -1')}\r\n\r\n`],
    [
      'a chunk size that is no number',
      `${invoke('Content-Type: application/json', 'Transfer-Encoding: chunked')}\r\n\r\nzz\r\n{}\r\n`,
    ],
    [
      'an unknown transfer encoding',
      `${invoke('Content-Type: application/json', 'Transfer-Encoding: chunked, x')}\r\n\r\n0\r\n\r\n`,
    ],
    ['no host', 'GET /healthz HTTP/1.1\r\n\r\n'],
    ['HTTP/2 in clear', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['TLS', Buffer.from([0x16, 3, 1, 0, 0xc8, 1, 0, 0, 0xc4, 3, 3])],
    ['nonsense', 'hello there\r\n\r\n'],
  ])('with %s are refused with 400, nothing is called, and the connection is closed', async (_what, bytes) => {
    const { raw, platform, fetch } = await startApi();
    const answer = await raw(bytes as string);
    expect(statuses(answer)).toEqual([400]);
    expect(platform.calls).toHaveLength(0);
    expect((await fetch('/healthz')).status).toBe(200);
  });

  test('with a megabyte of headers are refused with 431', async () => {
    const { raw } = await startApi();
    const answer = await raw(`${head('GET /healthz', `X-A: ${'a'.repeat(1_000_000)}`)}\r\n\r\n`);
    expect(statuses(answer)).toEqual([431]);
    expect(answer).toContain('application/problem+json');
  });

  test('by CONNECT are refused with 405', async () => {
    const { raw } = await startApi();
    const answer = await raw(`CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: x\r\n${auth}\r\n\r\n`);
    expect(statuses(answer)).toEqual([405]);
    expect(answer).toContain('method_not_allowed');
  });

  test('by TRACE are not echoed', async () => {
    const { raw } = await startApi();
    const answer = await raw(`${head('TRACE /fn/hello/x', 'Connection: close')}\r\n\r\n`);
    expect(statuses(answer)).toEqual([405]);
    expect(answer).not.toContain(TEST_KEY);
  });

  test('that climb out of the path are not found, for functions they are just a path', async () => {
    const { raw, platform } = await startApi();
    for (const path of [
      '/v1/functions/..',
      '/v1/functions/../functions',
      '/docs/%2e%2e/v1/functions',
      '/docs/static/../../../etc/passwd',
      '/docs/static/%2e%2e%2f%2e%2e%2fpackage.json',
    ]) {
      const answer = await raw(`${head(`GET ${path}`, 'Connection: close')}\r\n\r\n`);
      expect([path, [400, 403, 404].includes(statuses(answer)[0] ?? 0)]).toEqual([path, true]);
    }
    await raw(`${head('GET /fn/hello/../../%2e%2e/x?y=%2f', 'Connection: close')}\r\n\r\n`);
    expect(platform.calls.at(-1)?.request).toMatchObject({ head: { path: '/../../%2e%2e/x', query: 'y=%2f' } });
  });

  test('in absolute form are taken for their path, whatever host they name', async () => {
    const { raw, platform } = await startApi();
    const answer = await raw(`${head('GET http://evil:99/fn/hello/a?b=1', 'Connection: close')}\r\n\r\n`);
    expect(statuses(answer)).toEqual([200]);
    expect(platform.calls[0]?.request).toMatchObject({ head: { path: '/a', query: 'b=1' } });
    const closed = await raw('GET http://x/docs/../v1/functions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    expect(statuses(closed)).toEqual([401]);
  });
});

describe('bodies that lie', () => {
  test('a body that is shorter than its length never becomes a call', async () => {
    const { connect, platform, fetch } = await startApi();
    const client = await connect();
    client.write(`${invoke('Content-Type: application/json', 'Content-Length: 100')}\r\n\r\n{"a":1}`);
    client.socket.end();
    expect(statuses(await client.closed()).filter((status) => status < 400)).toEqual([]);
    expect(platform.calls).toHaveLength(0);
    expect((await fetch('/healthz')).status).toBe(200);
  });

  test('what follows a body is the next request, not part of it', async () => {
    const { raw, platform } = await startApi();
    const answer = await raw(
      `${invoke('Content-Type: application/json', 'Content-Length: 2')}\r\n\r\n{}GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
    );
    expect(statuses(answer)).toEqual([200, 200]);
    expect(platform.calls).toHaveLength(1);
  });

  test('a chunked body over the limit is refused with 413 although it never ends', async () => {
    const { connect, platform } = await startApi({ limits: { invokeBytes: 1000, lingerMs: 50 } });
    const client = await connect();
    client.write(`${invoke('Content-Type: application/json', 'Transfer-Encoding: chunked')}\r\n\r\n`);
    client.write(`400\r\n${'x'.repeat(1024)}\r\n400\r\n${'x'.repeat(1024)}\r\n`);
    expect(await client.closed()).toContain('payload_too_large');
    expect(platform.calls).toHaveLength(0);
  });

  test('a body that is announced too large is refused before it is sent, and the answer is seen', async () => {
    const { connect } = await startApi();
    const client = await connect();
    client.write(`${invoke('Content-Type: application/json', `Content-Length: ${7 * 1024 * 1024}`)}\r\n\r\n`);
    expect(await client.until('payload_too_large')).toContain('413');
  });

  test('a body that is too large is read away, and the connection stays usable', async () => {
    const { raw } = await startApi({ limits: { invokeBytes: 1000 } });
    const request = `${invoke('Content-Type: application/json', 'Content-Length: 100000')}\r\n\r\n${'x'.repeat(100_000)}`;
    const answer = await raw(`${request}${head('GET /healthz', 'Connection: close')}\r\n\r\n`);
    expect(statuses(answer)).toEqual([413, 200]);
  });

  test('a refused upload is read away, so that the client sees why', async () => {
    const { port } = await startApi();
    const answer = await fetch(`http://127.0.0.1:${port}/v1/functions/hello/invoke`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: 'x'.repeat(3_000_000),
    });
    expect([answer.status, ((await answer.json()) as { code: string }).code]).toEqual([401, 'unauthorized']);
  });
});

describe('what reaches a function', () => {
  test('is without the key, connection headers, and what the caller says about forwarding', async () => {
    const { raw, platform } = await startApi();
    await raw(
      `${head('GET /fn/hello/x', 'Connection: close, X-Hop', 'X-Hop: 1', 'Keep-Alive: 5', 'TE: trailers', 'Upgrade: h2c', 'Proxy-Authorization: x', 'X-Forwarded-For: 1.2.3.4', 'X-Forwarded-Host: evil', 'Forwarded: for=1.2.3.4', 'X-Wafer-Invocation: inv_fake', 'Cookie: a=b', 'X-Mine: 1', 'X-Mine: 2')}\r\n\r\n`,
    );
    const { request, invocationId } = platform.calls[0] ?? {};
    expect(request).toMatchObject({
      kind: 'http',
      body: null,
      head: {
        headers: [
          ['host', 'test'],
          ['cookie', 'a=b'],
          ['x-mine', '1'],
          ['x-mine', '2'],
          ['x-forwarded-proto', 'http'],
          ['x-forwarded-for', '127.0.0.1'],
          ['x-forwarded-host', 'test'],
          ['x-wafer-invocation', invocationId],
        ],
      },
    });
  });

  test('is not the Expect header; the caller is told to go on', async () => {
    const { raw, platform } = await startApi();
    const answer = await raw(
      `${invoke('Content-Type: application/json', 'Content-Length: 2', 'Expect: 100-continue', 'Connection: close')}\r\n\r\n{}`,
    );
    expect(statuses(answer)).toEqual([100, 200]);
    expect(platform.calls).toHaveLength(1);
  });
});
