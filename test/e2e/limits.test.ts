/** Limits of a version on a blank, what its calls used, and the trace that they are in. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { InvocationRecord, Used } from '../../services/core/invocations/types.ts';
import { readHoldings, untilHeld } from '../helpers/leaks.ts';
import { ROOT } from '../helpers/paths.ts';
import { startTestPlatform, type TestPlatform } from '../helpers/platform.ts';
import { until } from '../helpers/until.ts';

const CODE = {
  'index.mjs': `
import fs from 'node:fs';
import { spawn } from 'node:child_process';
const attempt = (work) => { try { return work() ?? 'ok'; } catch (error) { return error.code; } };
const openAll = () => {
  const files = [];
  try { for (;;) files.push(fs.openSync('/dev/null')); } catch (error) { return [error.code, files.length]; } finally { files.forEach((one) => fs.closeSync(one)); }
};
const startAll = async () => {
  const codes = await Promise.all(Array.from({ length: 60 }, () => new Promise((done) => {
    const child = spawn('sleep', ['1'], { stdio: 'ignore' });
    child.on('error', ({ code }) => done(code)).on('exit', () => done('ended'));
  })));
  return codes.filter((code) => code !== 'ended')[0] ?? 'none';
};
const eat = async () => { const all = []; for (;;) { all.push(Buffer.alloc(1 << 20, 1)); await new Promise((next) => setImmediate(next)); } };
export const handler = async (event, { traceparent, tracestate }) => {
  if (event.write) return attempt(() => fs.writeFileSync('/tmp/file', Buffer.alloc(event.write)));
  if (event.remove) return attempt(() => fs.rmSync('/tmp/file'));
  if (event.spin) { const end = process.cpuUsage().user + event.spin * 1000; while (process.cpuUsage().user < end); return 'spun'; }
  if (event.files) return openAll();
  if (event.processes) return startAll();
  if (event.eat) return eat();
  if (event.die) { process.kill(process.pid, event.die); await new Promise(() => setInterval(() => {}, 1000)); }
  return { traceparent, tracestate, options: process.env.NODE_OPTIONS ?? null };
};
`,
};
const LIMITS = { memoryMb: 96, pids: 24, openFiles: 64, fileMb: 2, cpu: 0.5, timeoutMs: 120_000 };
const PARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

let wafer: TestPlatform;
let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'wafer-spans-'));
  wafer = await startTestPlatform({
    WAFER_BLANKS: '2',
    SPANS_FILE: join(dir, 'spans'),
    NODE_OPTIONS: `--import=${join(ROOT, 'test/fixtures/tracer.mjs')}`,
  });
  await wafer.deploy('limits', CODE, LIMITS);
  await whenReady();
});
afterAll(async () => {
  await wafer?.remove('limits');
  await wafer?.stop();
  await rm(dir, { recursive: true, force: true });
});

const whenReady = () =>
  until('all blanks are ready', async () => {
    const { blanks } = (await (await wafer.fetch('/v1/instances')).json()) as {
      blanks: { ready: number; booting: number }[];
    };
    return blanks.length > 0 && blanks.every(({ ready, booting }) => ready >= 2 && booting === 0);
  });
const call = async (event: object) => {
  const reply = await wafer.invoke('limits', event);
  return { ...reply, id: reply.headers.get('x-wafer-invocation') ?? '', start: reply.headers.get('x-wafer-start') };
};
const recordOf = (id: string) =>
  until('the record is there', async () => {
    const response = await wafer.fetch(`/v1/invocations/${id}`);
    return response.ok && ((await response.json()) as InvocationRecord);
  });
const usedBy = async (event: object): Promise<Used> => {
  const { id, status } = await call(event);
  expect(status).toBe(200);
  return (await recordOf(id)).receipt?.used ?? {};
};

describe('what a version sets', () => {
  it('holds in an instance that was a blank: open files and the largest file', async () => {
    const { body, start } = await call({ files: true });
    expect(start).toBe('blank');
    expect(body).toEqual(['EMFILE', expect.any(Number)]);
    expect((body as [string, number])[1]).toBeLessThan(64);
    expect((await call({ write: 2 << 20 })).body).toBe('ok');
    expect((await call({ write: (2 << 20) + 1 })).body).toBe('EFBIG');
    expect((await call({ remove: true })).body).toBe('ok');
  });

  it('F1: holds for processes, and the next call is as before', async () => {
    expect((await call({ processes: true })).body).toBe('EAGAIN');
    expect((await call({})).status).toBe(200);
  });
});

describe('the receipt', () => {
  it('has the processor time, the peak, what came in, and how /tmp grew and shrank', async () => {
    const wrote = await usedBy({ write: 1 << 20 });
    expect(wrote.bytesIn).toBe('{"write":1048576}'.length);
    if (wrote.cpuMs === undefined) return expect(wrote).toEqual({ bytesIn: wrote.bytesIn }); // limits mode none
    expect(wrote.diskDeltaBytes).toBeGreaterThanOrEqual(1 << 20);
    expect(wrote.memoryPeakBytes).toBeGreaterThan(1 << 20);
    expect((await usedBy({ remove: true })).diskDeltaBytes).toBeLessThanOrEqual(-(1 << 20));
    expect((await usedBy({ spin: 60 })).cpuMs).toBeGreaterThanOrEqual(60);
  });

  it('F3: of memory that runs out says how much it was, and the next call has an instance of its own', async () => {
    const { status, body } = await call({ eat: true });
    expect([status, (body as { code: string }).code]).toEqual([502, 'function_oom']);
    expect((body as { detail: string }).detail).toMatch(/more than its 96 MiB of memory .*its peak was \d+ MiB/);
    expect((await call({})).status).toBe(200);
  });

  it.each(['SIGSEGV', 'SIGABRT', 'SIGSYS'])('F41: of a program that dies of %s names it', async (signal) => {
    const { body } = await call({ die: signal });
    expect(body).toMatchObject({ code: 'function_crashed', detail: expect.stringContaining(signal) });
    expect((await call({})).status).toBe(200);
  });
});

describe('a trace', () => {
  const spans = async () =>
    (await readFile(join(dir, 'spans'), 'utf8'))
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as { name: string; parent?: string; spanId: string; attributes: object });

  it('goes from the caller through the span of the call to the handler', async () => {
    const response = await wafer.fetch('/v1/functions/limits/invoke', {
      method: 'POST',
      headers: { 'content-type': 'application/json', traceparent: PARENT, tracestate: 'a=1' },
      body: '{}',
    });
    const told = (await response.json()) as { traceparent: string; tracestate: string; options: null };
    expect(told.traceparent.slice(0, 36)).toBe(PARENT.slice(0, 36));
    const own = told.traceparent.slice(36, 52);
    const span = await until('the span has ended', async () => (await spans()).find(({ spanId }) => spanId === own));
    expect(span).toMatchObject({
      name: 'invoke limits',
      parent: '00f067aa0ba902b7',
      attributes: { 'faas.name': 'limits', 'wafer.outcome': 'ok' },
    });
    expect((await spans()).filter(({ parent }) => parent === own).map(({ name }) => name)).toContain('handler');
    expect([told.tracestate, told.options]).toEqual(['a=1', null]);
  });
});

it('calls that meet their limits leave nothing behind', async () => {
  await call({}); // an instance, and blanks instead of those that the tests before took
  await whenReady();
  const before = await readHoldings(wafer);
  for (const event of [{ files: true }, { processes: true }, { eat: true }, { die: 'SIGSEGV' }, {}]) await call(event);
  expect(await untilHeld(wafer, before)).toEqual(before);
});
