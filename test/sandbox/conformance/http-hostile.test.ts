/** The http adapter, built with sanitizers, against a server that sends broken HTTP. */
import { execFileSync } from 'node:child_process';
import { afterEach, beforeAll, expect, test } from 'vitest';
import { LANGUAGES_DIR, launchProcess, readAll, type Started, start } from './harness.ts';

let started: Started | null = null;

beforeAll(() => {
  execFileSync('make', ['-s', '-C', `${LANGUAGES_DIR}/http`, 'sanitized']);
});

afterEach(async () => {
  started?.runtime.destroy();
  await started?.launched.kill();
});

async function outcome(adapter: Started, seed: number): Promise<string> {
  const call = adapter.http({ method: seed % 7 === 0 ? 'HEAD' : 'GET', path: `/${seed}` });
  const head = await call.head;
  const body = head.kind === 'error' ? null : readAll(head.body).catch(() => null);
  const end = await call.ended;
  await body;
  return end.kind === 'ok' ? 'ok' : end.code;
}

test('broken answers fail their call and never the adapter', async () => {
  const launch: typeof launchProcess = (name, dir) => launchProcess(name, dir, 'wafer-http-sanitized');
  started = await start(launch, 'http', { command: ['node', 'hostile.mjs'] });
  expect(started.init).toEqual({ kind: 'ok' });
  const counts: Record<string, number> = {};
  for (let seed = 0; seed < 600; seed += 20) {
    const seeds = Array.from({ length: 20 }, (_, at) => seed + at);
    for (const kind of await Promise.all(seeds.map((one) => outcome(started as Started, one)))) {
      counts[kind] = (counts[kind] ?? 0) + 1;
    }
  }
  expect(Object.keys(counts).sort()).toEqual(['function_error', 'ok']);
  expect(counts['ok']).toBeGreaterThan(100);
  expect(counts['function_error']).toBeGreaterThan(100);
  expect(started.runtime.closed).toBe(false);
  expect(started.launched.output()).toBe('');
});
