/** Whole HTTP requests, reuse of instances, concurrency, idle ends, logs: the life of instances over real calls. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CLI } from '../helpers/paths.ts';
import { startTestPlatform, type TestPlatform } from '../helpers/platform.ts';
import { processTree } from '../helpers/processes.ts';
import { until } from '../helpers/until.ts';

const CODE = `
let calls = 0;
export async function handler(event, context) {
  calls++;
  if (event instanceof Request) {
    const { pathname, search } = new URL(event.url);
    if (pathname === '/stream') {
      const reader = event.body.getReader();
      return new Response(new ReadableStream({ async pull(out) {
        const { done, value } = await reader.read();
        if (done) out.close(); else out.enqueue(new TextEncoder().encode(new TextDecoder().decode(value).toUpperCase()));
      } }), { status: 201, headers: { 'x-made-by': 'function', 'content-type': 'text/plain' } });
    }
    return Response.json({ method: event.method, pathname, search, headers: Object.fromEntries(event.headers), text: await event.text() });
  }
  if (event?.hold) await new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, event.hold);
    context.signal.addEventListener('abort', () => { clearTimeout(timer); console.log('was aborted'); reject(new Error('aborted')); });
  });
  if (event?.say) console.log(event.say);
  return { calls, pid: process.pid, context: { ...context, signal: undefined } };
}`;

let wafer: TestPlatform;
beforeAll(async () => {
  wafer = await startTestPlatform({ WAFER_IDLE_MS: '1500', WAFER_BLANKS: '0' });
  await wafer.deploy('calls', { 'index.mjs': CODE });
});
afterAll(async () => {
  await wafer.remove('calls');
  await wafer.stop();
});

const instances = async () =>
  (
    (await (await wafer.fetch('/v1/instances')).json()) as {
      instances: { id: string; functionName: string; version: number; inFlight: number }[];
    }
  ).instances;

describe('ANY /fn/{name}/*', () => {
  it('passes method, path, query, headers and body, and never the API key', async () => {
    const response = await wafer.fetch('/fn/calls/a/b?x=1&x=2', {
      method: 'PATCH',
      headers: { 'x-mine': 'yes' },
      body: 'hello',
    });
    const seen = (await response.json()) as { headers: Record<string, string> };
    expect(seen).toMatchObject({ method: 'PATCH', pathname: '/a/b', search: '?x=1&x=2', text: 'hello' });
    expect(seen.headers['x-mine']).toBe('yes');
    expect(JSON.stringify(seen)).not.toContain(wafer.key);
  });

  it('streams the request in and the response out at the same time', async () => {
    const { hostname, port } = new URL(wafer.url);
    const call = request({
      hostname,
      port,
      path: '/fn/calls/stream',
      method: 'POST',
      headers: { authorization: `Bearer ${wafer.key}` },
    });
    call.write('first ');
    const [response] = (await once(call, 'response')) as [import('node:http').IncomingMessage];
    expect(response.statusCode).toBe(201);
    expect(response.headers['x-made-by']).toBe('function');
    const [one] = (await once(response, 'data')) as [Buffer];
    expect(one.toString()).toBe('FIRST ');
    call.end('second');
    let rest = '';
    for await (const chunk of response) rest += chunk;
    expect(rest).toBe('SECOND');
  });
});

describe('instances', () => {
  it('are reused by the next call of the same version and not by another version', async () => {
    const first = (await wafer.invoke('calls')).body as { pid: number; calls: number };
    const second = (await wafer.invoke('calls')).body as { pid: number; calls: number };
    expect(second).toMatchObject({ pid: first.pid, calls: first.calls + 1 });
    const { number } = await wafer.deploy('calls', { 'index.mjs': `${CODE}\n` });
    const third = (await wafer.invoke('calls')).body as { calls: number; context: { version: number } };
    expect(third).toMatchObject({ calls: 1, context: { version: number, functionName: 'calls', attempt: 1 } });
  });

  it('serve one call at a time by default and as many as concurrency says', async () => {
    await wafer.deploy('one', { 'index.mjs': CODE });
    await wafer.deploy('many', { 'index.mjs': CODE }, { concurrency: 8 });
    await Promise.all([wafer.invoke('one'), wafer.invoke('many')]);
    const callers = new AbortController();
    const hold = (name: string) =>
      wafer
        .fetch(`/v1/functions/${name}/invoke`, {
          method: 'POST',
          signal: callers.signal,
          headers: { 'content-type': 'application/json' },
          body: '{"hold":60000}',
        })
        .catch(() => null);
    const held = ['one', 'one', 'one', 'many', 'many', 'many'].map(hold);
    const inFlight = async (name: string) =>
      (await instances()).filter((one) => one.functionName === name).map((one) => one.inFlight);
    await until(
      'all of them run',
      async () =>
        [...(await inFlight('one')), ...(await inFlight('many'))].reduce((sum, count) => sum + count, 0) === 6,
    );
    expect(await inFlight('one')).toEqual([1, 1, 1]);
    expect(await inFlight('many')).toEqual([3]);
    callers.abort();
    await Promise.all(held);
    await Promise.all([wafer.remove('one'), wafer.remove('many')]);
  });

  it('end when nobody calls them, and leave no process', async () => {
    await wafer.invoke('calls');
    await until('all are gone', async () => (await instances()).length === 0);
    await until(
      'no runtime is left',
      async () => (await processTree(wafer.pid)).filter((one) => one.command === 'node').length === 1,
    );
    expect((await wafer.invoke('calls')).headers.get('x-wafer-start')).toBe('cold');
  });

  it('abort the handler when its caller goes away, and serve the next call', async () => {
    await wafer.invoke('calls');
    const caller = new AbortController();
    const gone = wafer.fetch('/v1/functions/calls/invoke', {
      method: 'POST',
      signal: caller.signal,
      headers: { 'content-type': 'application/json' },
      body: '{"hold":60000}',
    });
    await until('it runs', async () => JSON.stringify(await instances()).includes('"inFlight":1'));
    caller.abort();
    await expect(gone).rejects.toThrow();
    await until('the handler saw it', async () =>
      (await (await wafer.fetch('/v1/functions/calls/logs')).text()).includes('was aborted'),
    );
    expect((await wafer.invoke('calls')).status).toBe(200);
  });
});

describe('logs', () => {
  it('of one invocation are its own lines only', async () => {
    const [one, two] = await Promise.all([
      wafer.invoke('calls', { say: 'line of one' }),
      wafer.invoke('calls', { say: 'line of two' }),
    ]);
    const read = async (reply: typeof one) =>
      (await wafer.wafer(['logs', 'calls', '--invocation', reply.headers.get('x-wafer-invocation') ?? ''])).stdout;
    expect(await read(one)).toContain('line of one');
    expect(await read(one)).not.toContain('line of two');
    expect(await read(two)).toContain('line of two');
  });

  it('are followed by the CLI until it is stopped', async () => {
    const follower = spawn(process.execPath, [CLI, 'logs', 'calls', '--follow'], {
      env: { ...process.env, WAFER_URL: wafer.url, WAFER_KEY: wafer.key },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let seen = '';
    follower.stdout.on('data', (chunk) => (seen += chunk));
    await until('the follower shows earlier lines', () => seen.includes('line of two'));
    await wafer.invoke('calls', { say: 'said while following' });
    await until('the new line comes', () => seen.includes('said while following'));
    const closed = once(follower, 'close');
    follower.kill('SIGINT');
    await closed;
  });

  it('have a young generation that fits the memory of their sandbox', async () => {
    const code = `import { getHeapSpaceStatistics } from 'node:v8';
    export const handler = async () => {
      const recent = [];
      for (let round = 0; round < 2_000; round++) {
        recent[round % 40] = Array.from({ length: 300 }, (_, at) => ({ at }));
        if (round % 100 === 0) await new Promise((done) => setImmediate(done));
      }
      return getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space').space_size;
    };`;
    const sizeOf = async (memoryMb: number) => {
      await wafer.deploy('young', { 'index.mjs': code }, { memoryMb });
      const { body } = await wafer.invoke('young');
      return Number(body) / 2 ** 20;
    };
    expect(await sizeOf(64)).toBeLessThan(4);
    expect(await sizeOf(256)).toBeGreaterThan(4);
    await wafer.remove('young');
  });
});
