import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ProbeResult } from '../../../services/cli/doctor/index.ts';
import { runCli } from '../../helpers/run-cli.ts';
import { json, startApiServer } from './api-server.ts';

let home: string;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'wafer-doctor-'));
});
afterAll(() => rm(home, { recursive: true, force: true }));

/** Nothing listens on port 1, so no platform of this machine is asked. */
async function doctor(env: Record<string, string> = {}) {
  const result = await runCli(['doctor', '--json'], { env: { HOME: home, WAFER_URL: 'http://127.0.0.1:1', ...env } });
  const report: { ok: boolean; probes: ProbeResult[] } = JSON.parse(result.stdout);
  const find = (id: string) => report.probes.find((probe) => probe.id === id);
  return { ...result, report, find };
}

test('every probe has an end; what is off has a cost and a fix; exit code 4 exactly when a must-have is off', async () => {
  const { code, report } = await doctor();
  expect(report.probes.length).toBeGreaterThanOrEqual(15);
  for (const { status, found, cost, fix } of report.probes) {
    expect(found).not.toBe('');
    expect([cost === undefined, fix === undefined]).toEqual(status === 'ok' ? [true, true] : [false, false]);
  }
  expect(report.ok).toBe(report.probes.every(({ status }) => status !== 'fail'));
  expect(code).toBe(report.ok ? 0 : 4);
});

test('an external Redis that does not answer is a must-have that fails', async () => {
  const { code, find } = await doctor({ WAFER_REDIS_URL: 'redis://user:hunter2@127.0.0.1:1/0' });
  expect(code).toBe(4);
  expect(find('redis')).toMatchObject({ status: 'fail', cost: '"wafer up" refuses to start' });
  expect(JSON.stringify(find('redis'))).not.toContain('hunter2');
});

test('a running platform is asked how it is', async () => {
  const api = await startApiServer();
  api.on('GET /readyz', json({ ok: true, checks: [{ name: 'engine', ok: true, message: 'limits v2' }] }));
  const { find } = await doctor({ WAFER_URL: api.url });
  await api.close();
  expect(find('platform')).toMatchObject({ status: 'ok', found: `${api.url}: engine limits v2` });
});

test('WAFER_LIMITS=none is told as what it costs', async () => {
  expect((await doctor({ WAFER_LIMITS: 'none' })).find('limits')).toMatchObject({
    status: 'warn',
    fix: 'unset WAFER_LIMITS',
  });
});

test('WAFER_PYTHON_ZYGOTE=on is told as what it costs, and only then', async () => {
  expect((await doctor()).find('python-zygote')).toBeUndefined();
  const { find } = await doctor({ WAFER_PYTHON_ZYGOTE: 'on' });
  expect(find('python-zygote')).toMatchObject({ status: 'warn', cost: expect.stringContaining('hash secret') });
  const { code, find: of } = await doctor({ WAFER_PYTHON_ZYGOTE: 'maybe' });
  expect(of('python-zygote')).toMatchObject({ status: 'fail', cost: '"wafer up" refuses to start' });
  expect(code).toBe(4);
});
