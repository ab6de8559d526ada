/** Listening, closing, following logs: what only a real server does. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { Readable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { buildApp } from '../../../services/api/app.ts';
import { startServer } from '../../../services/api/server.ts';
import { head, startApi, until } from '../../helpers/api-server.ts';
import { createFakePlatform } from '../../helpers/fake-platform.ts';

describe('startServer', () => {
  test('names the port and the variable when the port is in use', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as { port: number };
    const start = startServer(buildApp(createFakePlatform()), { host: '127.0.0.1', port });
    await expect(start).rejects.toMatchObject({
      code: 'port_in_use',
      exitCode: 4,
      message: expect.stringContaining(String(port)),
      hint: expect.stringContaining('WAFER_PORT'),
    });
    other.close();
  });

  test('names the variable when the host is not of this machine', async () => {
    const start = startServer(buildApp(createFakePlatform()), { host: '192.0.2.1', port: 0 });
    await expect(start).rejects.toMatchObject({ code: 'usage', hint: expect.stringContaining('WAFER_HOST') });
  });
});

describe('close', () => {
  test('lets a call in flight finish and takes no new one', async () => {
    const { fetch, platform, close, connect } = await startApi();
    let finish: () => void = () => {};
    platform.handler = async () => {
      await new Promise<void>((resolve) => {
        finish = resolve;
      });
      return { kind: 'value', contentType: 'text/plain', body: Readable.from([Buffer.from('done')]) };
    };
    const late = await connect();
    late.write('GET /healthz HTTP/1.1\r\n');
    const pending = fetch('/v1/functions/hello/invoke', { method: 'POST' });
    await until('the call runs', () => platform.calls.length === 1);
    const closed = close(20_000);
    await expect(connect()).rejects.toThrow();
    late.write('Host: x\r\n\r\n');
    expect(await late.until('shutting_down')).toContain('503');
    finish();
    expect(await (await pending).text()).toBe('done');
    late.destroy();
    await closed;
  });

  test('ends with the last answer, although the client keeps its connection', async () => {
    const { platform, close, connect } = await startApi();
    let finish: () => void = () => {};
    platform.handler = async () => {
      await new Promise<void>((resolve) => {
        finish = resolve;
      });
      return { kind: 'value', contentType: 'text/plain', body: Readable.from([Buffer.from('done')]) };
    };
    const client = await connect();
    client.write(head('POST /v1/functions/hello/invoke', 'Content-Length: 0', '', ''));
    await until('the call runs', () => platform.calls.length === 1);
    const closed = close(86_400_000);
    finish();
    expect(await client.closed()).toContain('done');
    await closed;
  });

  test('cuts a call that does not finish within the grace time', async () => {
    const { fetch, platform, close } = await startApi();
    platform.handler = async ({ signal }) => {
      await new Promise<void>((resolve) => signal.addEventListener('abort', resolve));
      return { kind: 'failure', failure: { kind: 'cancelled', message: 'gone' } };
    };
    const pending = fetch('/v1/functions/hello/invoke', { method: 'POST' }).catch((error: unknown) => error);
    await until('the call runs', () => platform.calls.length === 1);
    await close(50);
    expect(await pending).toBeInstanceOf(Error);
    await until('the record is there', () => platform.records.length === 1);
    expect(platform.records).toMatchObject([{ outcome: { kind: 'cancelled' } }]);
  });

  test('ends those that follow a log at once, as if the log had ended', async () => {
    const { fetch, platform, close } = await startApi();
    platform.write('one');
    const answer = await fetch('/v1/functions/hello/logs?follow=true');
    const text = answer.text();
    await until('the log is followed', () => platform.followers === 1);
    await close(60_000);
    expect((await text).trimEnd().split('\n')).toHaveLength(1);
    expect(platform.followers).toBe(0);
  });
});

describe('logs with follow=true', () => {
  test('answers at once although there is no line yet, then gives each line as it comes', async () => {
    const { fetch, platform } = await startApi();
    const answer = await fetch('/v1/functions/hello/logs?follow=true');
    expect(answer.status).toBe(200);
    const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
    for (const text of ['one', 'two', 'three']) {
      const next = reader.read();
      platform.write(text);
      expect(JSON.parse(Buffer.from((await next).value ?? []).toString())).toMatchObject({ text });
    }
    await reader.cancel();
    await until('nobody follows', () => platform.followers === 0);
  });

  test('as server-sent events it beats, and goes on behind the last event that the client saw', async () => {
    const { connect, platform } = await startApi({ limits: { heartbeatMs: 30 } });
    platform.write('one');
    platform.write('two');
    const client = await connect();
    client.write(
      `${head('GET /v1/functions/hello/logs?follow=true', 'Accept: text/event-stream', 'Last-Event-ID: 1000-0')}\r\n\r\n`,
    );
    expect(await client.until('two')).not.toContain('"one"');
    await client.until(': still here\n\n\r\n');
    const beats = () => client.received().split(': still here').length;
    const before = beats();
    await until('it beats', () => beats() > before + 1);
  });

  test('stops reading the source when the client goes away', async () => {
    const { connect, platform } = await startApi();
    const clients = await Promise.all(Array.from({ length: 20 }, () => connect()));
    for (const client of clients) client.write(`${head('GET /v1/functions/hello/logs?follow=true')}\r\n\r\n`);
    await until('all follow', () => platform.followers === 20);
    for (const client of clients) client.destroy();
    await until('nobody follows', () => platform.followers === 0);
  });

  test('never buffers more than a little for a reader that takes nothing', async () => {
    const { connect, platform } = await startApi();
    let taken = 0;
    const source = async function* () {
      for (;;) {
        taken += 1;
        yield { ...line, text: 'x'.repeat(10_000) };
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    const line = {
      time: 1,
      functionName: 'hello',
      version: 1,
      instanceId: 'i',
      stream: 'stdout' as const,
      cursor: '1-1',
    };
    platform.logs.follow = source;
    const client = await connect();
    client.write(`${head('GET /v1/functions/hello/logs?follow=true')}\r\n\r\n`);
    await client.until('200 OK');
    client.socket.pause();
    let before = -1;
    await until('the source stands still', () => {
      const still = taken === before;
      before = taken;
      return still;
    });
    expect(taken * 10_000).toBeLessThan(64 * 1024 * 1024);
  });
});

describe('/metrics', () => {
  test('counts by route pattern, never by path', async () => {
    const { fetch } = await startApi();
    for (const path of ['/v1/functions/hello', '/v1/functions/other', '/no/such/path'])
      await (await fetch(path)).text();
    const text = await (await fetch('/metrics')).text();
    expect(text).toContain('count{method="GET",route="/v1/functions/:name",status="200"} 2');
    expect(text).toContain('route="none",status="404"');
    expect(text).not.toContain('such');
  });
});
