/** Every way a call can end has its own status, code and message, and the next call works. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type InvocationRecord, PHASES } from '../../services/core/invocations/types.ts';
import { startTestPlatform, type TestPlatform } from '../helpers/platform.ts';

let wafer: TestPlatform;
beforeAll(async () => {
  wafer = await startTestPlatform({ WAFER_BLANKS: '0' });
  await wafer.deploy(
    'outcomes',
    {
      'index.mjs': `
        export async function handler(event) {
          if (event?.do === 'sleep') await new Promise((resolve) => setTimeout(resolve, 60_000));
          if (event?.do === 'spin') for (;;);
          if (event?.do === 'throw') throw new TypeError('no such colour');
          if (event?.do === 'exit') process.exit(3);
          if (event?.do === 'abort') process.abort();
          if (event?.do === 'bigint') return { deep: [1, { value: 10n }] };
          if (event?.do === 'large') return 'x'.repeat(7 * 1024 * 1024);
          if (event?.do === 'oom') { const kept = []; for (;;) kept.push(Buffer.alloc(8 * 1024 * 1024, 1)); }
          if (event?.do === 'bytes') return Buffer.from([0, 1, 2, 255]);
          return { ok: true, event };
        }`,
    },
    { timeoutMs: 1500, memoryMb: 128 },
  );
});
afterAll(async () => {
  await wafer.remove('outcomes');
  await wafer.stop();
});

const failures = [
  { event: 'sleep', status: 504, code: 'function_timeout', says: /1500 ms/ },
  { event: 'spin', status: 504, code: 'function_timeout', says: /1500 ms/ },
  { event: 'throw', status: 502, code: 'function_error', says: /no such colour/ },
  { event: 'exit', status: 502, code: 'function_crashed', says: /status 3/ },
  { event: 'abort', status: 502, code: 'function_crashed', says: /SIGABRT/ },
  { event: 'bigint', status: 502, code: 'result_not_serialisable', says: /value/ },
  { event: 'large', status: 502, code: 'result_too_large', says: /6291456|6 MiB/ },
  { event: 'oom', status: 502, code: 'function_oom', says: /128 MiB/ },
];

describe('POST /v1/functions/{name}/invoke', () => {
  it.each(failures)(
    'answers $event with $status $code and serves the next call',
    async ({ event, status, code, says }) => {
      const failed = await wafer.invoke('outcomes', { do: event });
      expect(failed.body).toMatchObject({ code, status });
      expect(failed.status).toBe(status);
      expect(JSON.stringify(failed.body)).toMatch(says);
      expect(failed.headers.get('content-type')).toContain('application/problem+json');
      expect(failed.headers.get('x-wafer-invocation')).toMatch(/^inv_/);
      const next = await wafer.invoke('outcomes', { n: 1 });
      expect(next).toMatchObject({ status: 200, body: { ok: true, event: { n: 1 } } });
    },
  );

  it('passes bytes through as they are', async () => {
    const response = await wafer.fetch('/v1/functions/outcomes/invoke', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"do":"bytes"}',
    });
    expect(response.headers.get('content-type')).toBe('application/octet-stream');
    expect([...new Uint8Array(await response.arrayBuffer())]).toEqual([0, 1, 2, 255]);
  });

  it('says which start it was, and what it waited for', async () => {
    await wafer.deploy('receipts', { 'index.mjs': 'export const handler = () => 1;' });
    const cold = await wafer.invoke('receipts');
    const warm = await wafer.invoke('receipts');
    expect(cold.headers.get('x-wafer-start')).toBe('cold');
    expect(warm.headers.get('x-wafer-start')).toBe('warm');
    expect(cold.headers.get('server-timing')).toMatch(/queue;dur=.*sandbox;dur=.*boot;dur=.*init;dur=.*handler;dur=/);
    await wafer.remove('receipts');
  });

  it('has phases that sum to the time from the request to the answer', async () => {
    /** The record is there when the call has ended, so what is read of the clock around both is more than the call took. */
    const checked = async (call: () => Promise<{ headers: Headers }>, atLeastMs: number) => {
      const from = performance.now();
      const id = (await call()).headers.get('x-wafer-invocation');
      const record = await (await wafer.fetch(`/v1/invocations/${id}`)).json();
      const aroundMs = performance.now() - from;
      const { receipt, durationMs } = record as InvocationRecord;
      const sum = PHASES.reduce((ms, phase) => ms + (receipt?.phases[phase] ?? 0), 0);
      expect(Math.abs(durationMs - sum)).toBeLessThan(1);
      expect(durationMs).toBeGreaterThan(atLeastMs);
      expect(durationMs).toBeLessThan(aroundMs);
    };
    const rests = 'export const handler = () => new Promise((rested) => setTimeout(rested, 30));';
    for (let round = 0; round < 5; round++) {
      await wafer.deploy('summed', { 'index.mjs': `${rests} // ${round}` });
      for (let call = 0; call < 4; call++) await checked(() => wafer.invoke('summed'), 20);
      await checked(() => wafer.fetch('/fn/summed/'), 20);
      await checked(() => wafer.invoke('outcomes', { do: 'throw' }), 0);
    }
    await wafer.remove('summed');
  });

  it('keeps a record of the call with its outcome', async () => {
    const failed = await wafer.invoke('outcomes', { do: 'throw' });
    const id = failed.headers.get('x-wafer-invocation');
    const record = await wafer.fetch(`/v1/invocations/${id}`);
    expect(await record.json()).toMatchObject({
      id,
      functionName: 'outcomes',
      outcome: { kind: 'function_error', errorType: 'TypeError' },
    });
  });

  it('names the handler that does not exist and the exports that do', async () => {
    await wafer.deploy('misnamed', { 'index.mjs': 'export const main = () => 1;' });
    const reply = await wafer.invoke('misnamed');
    expect(reply).toMatchObject({ status: 502, body: { code: 'handler_not_found' } });
    expect(JSON.stringify(reply.body)).toMatch(/handler.*main|main.*handler/);
    await wafer.remove('misnamed');
  });

  it('reports a module that fails to load', async () => {
    await wafer.deploy('unloadable', {
      'index.mjs': 'throw new RangeError("bad start"); export const handler = () => 1;',
    });
    expect(await wafer.invoke('unloadable')).toMatchObject({ status: 502, body: { code: 'function_init_failed' } });
    await wafer.remove('unloadable');
  });

  it('says that a process ended while it was loaded, not while a call ran', async () => {
    await wafer.deploy('unborn', { 'index.mjs': 'process.exit(7); export const handler = () => 1;' });
    const reply = await wafer.invoke('unborn');
    expect(reply).toMatchObject({ status: 502, body: { code: 'function_crashed' } });
    expect(JSON.stringify(reply.body)).toMatch(/status 7 while the function was being loaded/);
    await wafer.remove('unborn');
  });

  it('blames the version, not the machine, for a base image without its runtime', async () => {
    await wafer.deploy('baseless', { 'index.mjs': 'export const handler = () => 1;' }, { base: 'debian12' });
    const reply = await wafer.invoke('baseless');
    expect(reply).toMatchObject({ status: 502, body: { code: 'function_init_failed' } });
    expect(JSON.stringify(reply.body)).toMatch(/debian12.*wafer\.json/);
    await wafer.remove('baseless');
  });
});
