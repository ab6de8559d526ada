/** Accepted calls by the real command line. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestPlatform, type TestPlatform } from '../helpers/platform.ts';
import { until } from '../helpers/until.ts';

const CODE = (greeting: string) => `
export async function handler(event) {
  console.log('called with', JSON.stringify(event));
  if (event?.fail) { const error = new Error('no use'); error.name = 'NonRetryableError'; throw error; }
  return { greeting: '${greeting}', name: event?.name ?? null };
}`;

let wafer: TestPlatform;
beforeAll(async () => {
  wafer = await startTestPlatform();
  await wafer.deploy('greet', { 'index.mjs': CODE('Hello') });
});
afterAll(async () => {
  await wafer.remove('greet');
  await wafer.stop();
});

const ok = async (...args: string[]) => {
  const result = await wafer.wafer(args);
  expect(result, result.stderr).toMatchObject({ status: 0 });
  return result.stdout;
};
const start = async (event: object) => {
  const id = (await ok('invoke', 'greet', '--async', '--data', JSON.stringify(event))).trim();
  expect(id).toMatch(/^inv_/);
  return id;
};
const waited = async (event: object) => {
  const id = await start(event);
  await until('it has ended', async () => (await ok('invocations', 'get', id, '--json')).includes('"succeeded"'));
  return id;
};

describe('wafer invoke --async', () => {
  it('prints the id alone; with --wait the result alone', async () => {
    await start({ name: 'Ada' });
    expect(JSON.parse(await ok('invoke', 'greet', '--async', '--wait', '--data', '{"name":"Bo"}'))).toEqual({
      greeting: 'Hello',
      name: 'Bo',
    });
  });

  it('--wait ends with 1 and the timeline when the function fails', async () => {
    const result = await wafer.wafer(['invoke', 'greet', '--async', '--wait', '--data', '{"fail":true}']);
    expect(result.status).toBe(1);
    expect(result.stdout).toMatch(/failed +attempt 1 +no use/);
  });
});

describe('wafer invocations', () => {
  it('ls, get, result and logs tell of one', async () => {
    const id = await waited({ name: 'Cy' });
    expect(await ok('invocations', 'get', id)).toMatch(/succeeded +attempt 1/);
    expect(await ok('invocations', 'ls', '-f', 'greet')).toContain(id);
    expect(await ok('invocations', 'result', id, '--request')).toBe('{"name":"Cy"}');
    expect(JSON.parse(await ok('invocations', 'result', id))).toMatchObject({ name: 'Cy' });
    expect(await ok('invocations', 'logs', id)).toContain('called with {"name":"Cy"}');
  });

  it('cancel stops one that waits', async () => {
    const id = (await ok('invoke', 'greet', '--async', '--delay', '1h', '--data', '{}')).trim();
    expect(await ok('invocations', 'cancel', id)).toContain('is cancelled');
    expect(await ok('invocations', 'get', id)).toMatch(/State +cancelled/);
  });

  it('replay shows what another version answers differently', async () => {
    const id = await waited({ name: 'Di' });
    expect(await ok('invocations', 'replay', id)).toContain('The answer is the same, byte for byte.');
    const { number } = await wafer.deploy('greet', { 'index.mjs': CODE('Servus') });
    const shown = await ok('invocations', 'replay', id, '--version', String(number));
    expect(shown).toContain('- .greeting: "Hello"');
    expect(shown).toContain('+ .greeting: "Servus"');
  });
});

describe('wafer dlq', () => {
  it('lists what failed, redrives it, and purges it', async () => {
    const failed = JSON.parse(
      (await wafer.wafer(['invoke', 'greet', '--async', '--wait', '--json', '--data', '{"fail":true}'])).stdout,
    ) as { id: string };
    expect(await ok('dlq', 'ls', '-f', 'greet')).toContain(failed.id);
    expect(await ok('dlq', 'redrive', failed.id)).toMatch(new RegExp(`${failed.id} runs again as inv_`));
    expect(await ok('dlq', 'purge', '-f', 'greet')).toMatch(/dead letters? purged/);
    const refused = await wafer.wafer(['dlq', 'purge']);
    expect(refused).toMatchObject({ status: 2, stderr: expect.stringContaining('--all') });
  });
});
