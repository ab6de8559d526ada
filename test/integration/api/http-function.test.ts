/** `ANY /fn/{name}/{path}` with real sockets: streaming both ways, and ends of every kind. */
import { PassThrough, Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import type { Call, CallResult } from '../../../services/core/invocations/types.ts';
import { head, startApi, until } from '../../helpers/api-server.ts';
import { RECEIPT } from '../../helpers/fake-platform.ts';

type Http = Extract<CallResult, { kind: 'http' }>;
const http = (body: Readable | string, more: Partial<Http> = {}): Http => ({
  kind: 'http',
  status: 200,
  headers: [],
  body: typeof body === 'string' ? Readable.from([Buffer.from(body)]) : body,
  ...more,
});
const bodyOf = ({ request }: Call): Readable => {
  if (request.kind !== 'http' || request.body === null) throw new Error('no body');
  return request.body;
};

describe('ANY /fn/{name}/{path}', () => {
  test.each(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])(
    '%s reaches the function with path, query and body',
    async (method) => {
      const { fetch, platform } = await startApi();
      platform.handler = async (call) =>
        http(call.request.kind === 'http' && call.request.body ? await text(call.request.body) : 'none');
      const body = method === 'GET' ? {} : { body: 'héllo' };
      const answer = await fetch('/fn/hello//a%2Fb/?x=1&x=%20', { method, ...body });
      expect(await answer.text()).toBe(method === 'GET' ? 'none' : 'héllo');
      expect(platform.calls[0]?.request).toMatchObject({ head: { method, path: '//a%2Fb/', query: 'x=1&x=%20' } });
      expect(platform.records).toMatchObject([{ trigger: 'http', outcome: { kind: 'ok' } }]);
    },
  );

  test('gives back status, headers and cookies as the function set them, and none of its own security headers', async () => {
    const { fetch, platform } = await startApi();
    platform.handler = () =>
      http('<h1>hi</h1>', {
        status: 418,
        headers: [
          ['content-type', 'text/html'],
          ['set-cookie', 'a=1'],
          ['set-cookie', 'b=2'],
          ['x-wafer-start', 'fake'],
        ],
      });
    const answer = await fetch('/fn/hello');
    expect([answer.status, await answer.text()]).toEqual([418, '<h1>hi</h1>']);
    expect(answer.headers.getSetCookie()).toEqual(['a=1', 'b=2']);
    expect(answer.headers.get('content-security-policy')).toBeNull();
    expect(answer.headers.get('x-wafer-start')).toBe('warm');
    expect(answer.headers.get('x-wafer-invocation')).toBe(platform.calls[0]?.invocationId);
    expect(answer.headers.get('server-timing')).toMatch(/^queue;dur=/);
  });

  test('reads away the body that a function did not want, so that the connection stays usable', async () => {
    const { connect, platform } = await startApi();
    platform.handler = (call) => http(call.request.kind === 'http' ? call.request.head.path : '');
    const client = await connect();
    const size = 4 * 1024 * 1024;
    client.write(`${head('POST /fn/hello/first', `Content-Length: ${size}`)}\r\n\r\n`);
    await client.until('/first');
    client.write('x'.repeat(size));
    client.write(`${head('GET /fn/hello/second', 'Connection: close')}\r\n\r\n`);
    expect(await client.closed()).toContain('/second');
  });

  test('streams both ways at once', async () => {
    const { connect, platform } = await startApi();
    platform.handler = (call) => http(bodyOf(call).pipe(new PassThrough()));
    const client = await connect();
    client.write(`${head('POST /fn/hello/chat', 'Transfer-Encoding: chunked', 'Connection: close')}\r\n\r\n`);
    await client.until('x-wafer-invocation');
    for (const word of ['ping', 'pong', 'last']) {
      client.write(`4\r\n${word}\r\n`);
      await client.until(word);
    }
    client.write('0\r\n\r\n');
    expect(await client.closed()).toMatch(/0\r\n\r\n$/);
  });

  test('sends the head at once, long before the first byte of the body', async () => {
    const { fetch, platform } = await startApi();
    const body = new PassThrough();
    platform.handler = () => http(body);
    const answer = await fetch('/fn/hello/events');
    expect(answer.status).toBe(200);
    body.end('done');
    expect(await answer.text()).toBe('done');
  });

  test('passes 100 MB both ways, and holds back the sender while nobody takes the answer', async () => {
    const { fetch, platform } = await startApi();
    platform.handler = (call) => http(bodyOf(call).pipe(new PassThrough()));
    const chunk = Buffer.alloc(64 * 1024, 'x');
    const count = 1600;
    let sent = 0;
    const upload = Readable.from(
      (function* () {
        for (; sent < count; sent++) yield chunk;
      })(),
    );
    const init = { method: 'POST', body: Readable.toWeb(upload), duplex: 'half' };
    const answer = await fetch('/fn/hello', init as unknown as RequestInit);
    let before = -1;
    await until('the sender is held back', () => {
      const still = sent === before;
      before = sent;
      return still;
    });
    expect(sent * chunk.length).toBeLessThan(48 * 1024 * 1024);
    let size = 0;
    for await (const part of answer.body as unknown as AsyncIterable<Uint8Array>) size += part.length;
    expect(size).toBe(count * chunk.length);
  });

  test('does not read on while nobody takes the answer', async () => {
    const { connect, platform } = await startApi();
    let made = 0;
    const body = new Readable({
      read() {
        made += 64 * 1024;
        this.push(Buffer.alloc(64 * 1024));
      },
    });
    platform.handler = () => http(body);
    const client = await connect();
    client.write(`${head('GET /fn/hello/endless')}\r\n\r\n`);
    await client.until('200 OK');
    client.socket.pause();
    let before = -1;
    await until('the function stands still', () => {
      const still = made === before;
      before = made;
      return still && made > 0;
    });
    // Kernel buffers of a loopback connection hold some megabytes, not an endless stream.
    expect(made).toBeLessThan(64 * 1024 * 1024);
    client.destroy();
    await until('the function is freed', () => body.destroyed);
  });

  test('aborts the call when the caller goes away before the head, and records it as cancelled', async () => {
    const { connect, platform } = await startApi();
    platform.handler = async ({ signal }) => {
      await new Promise<void>((resolve) => signal.addEventListener('abort', resolve));
      return { kind: 'failure', failure: { kind: 'cancelled', message: 'gone' } };
    };
    const client = await connect();
    client.write(`${head('GET /fn/hello')}\r\n\r\n`);
    await until('the call runs', () => platform.calls.length === 1);
    client.destroy();
    await until('the record is there', () => platform.records.length === 1);
    expect(platform.records[0]).toMatchObject({ outcome: { kind: 'cancelled' } });
  });

  test('records a caller that goes away while it waits for an instance', async () => {
    const { connect, platform } = await startApi();
    platform.handler = async ({ signal }) => {
      await new Promise<void>((resolve) => signal.addEventListener('abort', resolve));
      throw signal.reason;
    };
    const client = await connect();
    client.write(`${head('GET /fn/hello')}\r\n\r\n`);
    await until('the call waits', () => platform.calls.length === 1);
    client.destroy();
    await until('the record is there', () => platform.records.length === 1);
    expect(platform.records[0]).toMatchObject({ outcome: { kind: 'cancelled' }, receipt: null });
  });

  test('aborts the call when the caller goes away within the answer', async () => {
    const { connect, platform } = await startApi();
    const body = new PassThrough();
    platform.handler = () => http(body);
    const client = await connect();
    client.write(`${head('GET /fn/hello')}\r\n\r\n`);
    body.write('first');
    await client.until('first');
    client.destroy();
    await until('the call is aborted', () => platform.calls[0]?.signal.aborted === true);
    await until('the record is there', () => platform.records.length === 1);
    expect(platform.records[0]).toMatchObject({ outcome: { kind: 'cancelled' } });
  });

  test('fails the body when the caller goes away within the request', async () => {
    const { connect, platform } = await startApi();
    let failed: unknown;
    platform.handler = async (call) => {
      await text(bodyOf(call)).catch((error: unknown) => {
        failed = error;
      });
      return http('never seen');
    };
    const client = await connect();
    client.write(`${head('POST /fn/hello', 'Content-Length: 100')}\r\n\r\nonly this`);
    await until('the call runs', () => platform.calls.length === 1);
    client.destroy();
    await until('the body has failed', () => failed !== undefined);
    expect(String(failed)).toContain('within the request body');
  });

  test('cuts the connection when a function fails within its answer: half an answer never looks whole', async () => {
    const { raw, platform } = await startApi();
    platform.handler = () =>
      http(
        Readable.from(
          (function* () {
            yield Buffer.from('half');
            throw new Error('crashed');
          })(),
        ),
      );
    const answer = await raw(`${head('GET /fn/hello')}\r\n\r\n`);
    expect(answer).toContain('half');
    expect(answer).not.toMatch(/0\r\n\r\n$/);
    expect(platform.records).toMatchObject([{ outcome: { kind: 'function_crashed' } }]);
  });

  test('cuts the connection also when the body ends well but the call does not', async () => {
    const { raw, platform } = await startApi();
    const outcome = { kind: 'function_timeout' as const, message: 'too late' };
    platform.dispatcher.call = async () => ({
      result: http('looks whole'),
      receipt: RECEIPT,
      done: Promise.resolve({ outcome, receipt: RECEIPT, bytesOut: 11 }),
    });
    const answer = await raw(`${head('GET /fn/hello')}\r\n\r\n`);
    expect(answer).toContain('200 OK');
    expect(answer).not.toMatch(/0\r\n\r\n$/);
    expect(platform.records).toMatchObject([{ outcome }]);
  });

  test.each([
    ['more', '5', 'hello world'],
    ['less', '50', 'hello'],
  ])('never sends %s than the length that the function declares as a proper answer', async (_what, length, body) => {
    const { raw, platform } = await startApi();
    platform.handler = () => http(body, { headers: [['content-length', length]] });
    const answer = await raw(`${head('GET /fn/hello')}\r\n\r\n${head('GET /healthz')}\r\n\r\n`);
    expect(answer.match(/HTTP\/1\.1/g)).toHaveLength(1);
    expect(answer).not.toContain('world');
  });

  test('keeps the connection usable when a function destroys or ignores the body', async () => {
    const { fetch, platform } = await startApi();
    platform.handler = (call) => {
      bodyOf(call).destroy();
      return http('no thanks');
    };
    for (let round = 0; round < 3; round++) {
      const answer = await fetch('/fn/hello', { method: 'POST', body: 'x'.repeat(500_000) });
      expect(await answer.text()).toBe('no thanks');
    }
  });

  test.each(['', '0123456789'])(
    'HEAD goes to the function; its answer tells a length and has no body (given: %j)',
    async (body) => {
      const { raw, platform } = await startApi();
      platform.handler = () => http(body, { headers: [['content-length', '10']] });
      const answer = await raw(`${head('HEAD /fn/hello')}\r\n\r\n${head('GET /healthz', 'Connection: close')}\r\n\r\n`);
      expect(answer).toContain('content-length: 10');
      expect(answer).not.toContain('0123');
      expect(answer.match(/HTTP\/1\.1 200/g)).toHaveLength(2);
      expect(platform.calls[0]?.request).toMatchObject({ head: { method: 'HEAD' } });
    },
  );

  test.each([204, 304])('%i has no body, and the next answer on the connection is in step', async (status) => {
    const { raw, platform } = await startApi();
    platform.handler = () => http('sneaky body', { status });
    const answer = await raw(`${head('GET /fn/hello')}\r\n\r\n${head('GET /healthz', 'Connection: close')}\r\n\r\n`);
    expect(answer).not.toContain('sneaky');
    expect(answer.match(/HTTP\/1\.1 (\d+)/g)).toEqual([`HTTP/1.1 ${status}`, 'HTTP/1.1 200']);
  });

  test.each([0, 99, 101, 199, 600, 1000, 200.5, Number.NaN])(
    'the status %d of a function becomes a problem',
    async (status) => {
      const { fetch, platform } = await startApi();
      platform.handler = () => http('x', { status });
      const answer = await fetch('/fn/hello');
      expect([answer.status, ((await answer.json()) as { code: string }).code]).toEqual([502, 'protocol_error']);
    },
  );

  test('leaves out headers that would split the answer, and tells the developer in the log', async () => {
    const { raw, platform } = await startApi();
    platform.handler = () =>
      http('x', {
        headers: [
          ['x-a', 'b\r\nset-cookie: evil=1\r\n\r\n<script>'],
          ['x-ok', '1'],
        ],
      });
    const answer = await raw(`${head('GET /fn/hello', 'Connection: close')}\r\n\r\n`);
    expect(answer).not.toContain('evil');
    expect(answer).toContain('x-ok: 1');
    expect(platform.lines).toMatchObject([{ stream: 'platform', invocationId: platform.calls[0]?.invocationId }]);
    expect(platform.lines[0]?.text).toContain('x-a');
  });

  test('leaves nothing behind on a connection that carries many calls', async () => {
    const { connect } = await startApi();
    const client = await connect();
    const warnings: string[] = [];
    const onWarning = (warning: Error) => void warnings.push(warning.message);
    process.on('warning', onWarning);
    for (let round = 1; round <= 30; round++) {
      // The function answers before the body is there.
      client.write(`${head('POST /fn/hello', 'Content-Length: 5', `X-Round: ${round}`)}\r\n\r\n`);
      await until('the answer is there', () => client.received().split('{"ok":true}').length === round + 1);
      client.write('hello');
    }
    process.off('warning', onWarning);
    expect(warnings).toEqual([]);
  });

  test('serves 200 calls at once, each with its own id and answer', async () => {
    const { fetch, platform } = await startApi();
    let waiting: (() => void)[] = [];
    platform.handler = async (call) => {
      await new Promise<void>((resolve) => {
        waiting.push(resolve);
        if (waiting.length < 200) return;
        for (const go of waiting) go();
        waiting = [];
      });
      return http(call.request.kind === 'http' ? call.request.head.path : '');
    };
    const answers = await Promise.all(Array.from({ length: 200 }, (_, at) => fetch(`/fn/hello/${at}`)));
    expect(await Promise.all(answers.map((answer) => answer.text()))).toEqual(
      Array.from({ length: 200 }, (_, at) => `/${at}`),
    );
    expect(new Set(answers.map(({ headers }) => headers.get('x-wafer-invocation'))).size).toBe(200);
  });
});
