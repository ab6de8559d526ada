/** Clients that take or give next to nothing are ended; slow but honest ones are not. */
import { PassThrough, Readable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { head, startApi, until } from '../../helpers/api-server.ts';

const TIGHT = { headersMs: 300, bodyStallMs: 300, readerStallMs: 500, sweepMs: 50, lingerMs: 200 };

describe('a connection', () => {
  test('that sends nothing is closed', async () => {
    const { connect } = await startApi({ limits: TIGHT });
    await (await connect()).closed();
  });

  test('whose headers come a byte at a time is closed with 408', async () => {
    const { connect } = await startApi({ limits: TIGHT });
    const client = await connect();
    const drip = setInterval(() => client.write('a'), 20);
    client.write('GET /healthz HTTP/1.1\r\nX-');
    const answer = await client.closed();
    clearInterval(drip);
    expect(answer).toContain('408');
    expect(answer).toContain('request_timeout');
  });

  test('whose event stands still is closed with 408, and nothing is called', async () => {
    const { connect, platform } = await startApi({ limits: TIGHT });
    const client = await connect();
    client.write(
      `${head('POST /v1/functions/hello/invoke', 'Content-Type: application/json', 'Content-Length: 100')}\r\n\r\n{"a":`,
    );
    const drip = setInterval(() => client.write(' '), 100);
    const answer = await client.closed();
    clearInterval(drip);
    expect(answer).toContain('408');
    expect(answer).toContain('request_timeout');
    expect(platform.calls).toHaveLength(0);
  });

  test('whose archive stands still is closed, and the build is told', async () => {
    const { connect, platform } = await startApi({ limits: TIGHT });
    let failed: unknown;
    platform.deploy = async ({ source }) => {
      if (source.kind !== 'archive') throw new Error('no archive');
      try {
        for await (const _ of source.stream);
      } catch (error) {
        failed = error;
        throw error;
      }
    };
    const client = await connect();
    client.write(
      `${head('PUT /v1/functions/new', 'Content-Type: multipart/form-data; boundary=B', 'Content-Length: 100000')}\r\n\r\n`,
    );
    client.write('--B\r\nContent-Disposition: form-data; name="archive"; filename="a"\r\n\r\n\x1f\x8b\x08\0');
    client.write('x'.repeat(50_000));
    await client.closed();
    await until('the build has failed', () => failed !== undefined);
    await expect(platform.functions.get('new')).rejects.toMatchObject({ code: 'function_not_found' });
  });

  test('that sends slowly but on and on is served', async () => {
    const { connect } = await startApi({ limits: { ...TIGHT, bodyStallMs: 2000, bodyStallBytes: 10 } });
    const client = await connect();
    client.write(
      `${head('POST /v1/functions/hello/invoke', 'Content-Type: application/json', 'Content-Length: 60', 'Connection: close')}\r\n\r\n`,
    );
    for (let part = 0; part < 6; part++) {
      client.write(part === 5 ? '         1' : ' '.repeat(10));
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect(await client.closed()).toContain('200 OK');
  });

  test('may wait as long as the function takes', async () => {
    const { fetch, platform } = await startApi({ limits: TIGHT });
    let finish: () => void = () => {};
    platform.handler = async () => {
      await new Promise<void>((resolve) => {
        finish = resolve;
      });
      return { kind: 'value', contentType: 'text/plain', body: Readable.from([Buffer.from('late')]) };
    };
    const pending = fetch('/v1/functions/hello/invoke', { method: 'POST' });
    await until('the call runs', () => platform.calls.length === 1);
    // Longer than every limit above.
    await new Promise((resolve) => setTimeout(resolve, 1500));
    finish();
    expect(await (await pending).text()).toBe('late');
  });

  test('is not ended for a function that does not take the body', async () => {
    const { connect, platform } = await startApi({ limits: TIGHT });
    let go: () => void = () => {};
    platform.handler = async ({ request }) => {
      await new Promise<void>((resolve) => {
        go = resolve;
      });
      const body = request.kind === 'http' && request.body ? request.body.pipe(new PassThrough()) : Readable.from([]);
      return { kind: 'http', status: 200, headers: [], body };
    };
    const client = await connect();
    const size = 2_000_000;
    client.write(`${head('POST /fn/hello', `Content-Length: ${size}`, 'Connection: close')}\r\n\r\n`);
    client.write('x'.repeat(size));
    await until('the call runs', () => platform.calls.length === 1);
    await new Promise((resolve) => setTimeout(resolve, 1800));
    go();
    expect((await client.closed()).match(/x/g)?.length).toBeGreaterThan(size - 1);
  });

  test('that takes nothing of a large answer is closed', async () => {
    const { connect, platform } = await startApi({ limits: TIGHT });
    const body = new Readable({ read: () => void body.push(Buffer.alloc(64 * 1024)) });
    platform.handler = () => ({ kind: 'http', status: 200, headers: [], body });
    const client = await connect();
    client.write(`${head('GET /fn/hello')}\r\n\r\n`);
    await client.until('200 OK');
    client.socket.pause();
    await until('the function is freed', () => body.destroyed);
    expect(platform.calls[0]?.signal.aborted).toBe(true);
  });

  test('that takes a large answer slowly gets all of it, also when that takes longer than a stall may', async () => {
    const readerStallMs = 2000;
    const { connect, platform } = await startApi({ limits: { ...TIGHT, readerStallMs } });
    // More than the buffers of the kernel take at once.
    const size = 32 << 20;
    const part = size / 16;
    const parts = Array.from({ length: 16 }, () => Buffer.alloc(part, 'x'));
    const headers: [string, string][] = [['content-length', String(size)]];
    platform.handler = () => ({ kind: 'http', status: 200, headers, body: Readable.from(parts) });
    const client = await connect();
    const begun = performance.now();
    client.write(`${head('GET /fn/hello/', 'Connection: close')}\r\n\r\n`);
    let read = 0;
    client.socket.on('data', (chunk: Buffer | string) => {
      read += chunk.length;
      if (read < part) return;
      read = 0;
      client.socket.pause();
      setTimeout(() => client.socket.resume(), readerStallMs / 8);
    });
    const answer = await client.closed();
    expect(answer.slice(answer.indexOf('\r\n\r\n') + 4)).toHaveLength(size);
    expect(performance.now() - begun).toBeGreaterThan(readerStallMs);
  });

  test('a thousand slow ones do not keep others from being served, and all are ended', async () => {
    const { connect, fetch, platform } = await startApi({ limits: { ...TIGHT, headersMs: 3000, bodyStallMs: 3000 } });
    const slow = await Promise.all(Array.from({ length: 1000 }, () => connect()));
    for (const [at, client] of slow.entries()) {
      client.write(
        at % 2
          ? 'GET /healthz HTTP/1.1\r\nX-A: '
          : `${head('POST /v1/functions/hello/invoke', 'Content-Type: application/json', 'Content-Length: 9')}\r\n\r\n{`,
      );
    }
    for (let round = 0; round < 20; round++)
      expect((await fetch('/v1/functions/hello/invoke', { method: 'POST' })).status).toBe(200);
    await Promise.all(slow.map((client) => client.closed()));
    expect(platform.calls).toHaveLength(20);
  });
});

describe('a refused request whose body never ends', () => {
  test('is read away for a moment, then closed', async () => {
    const { connect } = await startApi({ limits: { ...TIGHT, bodyStallMs: 60_000 } });
    const client = await connect();
    client.write('POST /v1/functions/hello/invoke HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n');
    const flood = setInterval(() => client.write(`400\r\n${'x'.repeat(1024)}\r\n`), 5);
    const answer = await client.closed();
    clearInterval(flood);
    expect(answer).toContain('401');
  });
});

describe('the number of connections', () => {
  test('is bounded', async () => {
    const { connect, port } = await startApi({ limits: { connections: 5 } });
    const clients = await Promise.all(Array.from({ length: 20 }, () => connect()));
    const ends = clients.map((client) => client.closed().then(() => 1));
    let ended = 0;
    for (const end of ends)
      void end.then((one) => {
        ended += one;
      });
    await until('the ones above are closed', () => ended === 15);
    expect(port).toBeGreaterThan(0);
  });
});
