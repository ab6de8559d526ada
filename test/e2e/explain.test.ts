/** What `explain` says of real starts is true: each was made to happen. */
import { afterEach, describe, expect, it } from 'vitest';
import type { Explanation } from '../../services/core/invocations/explain.ts';
import { startTestPlatform, type TestPlatform } from '../helpers/platform.ts';
import { until } from '../helpers/until.ts';

const CODE = `
export async function handler(event, context) {
  if (event?.exit) process.exit(1);
  if (event?.hold) await new Promise((resolve) => {
    console.log('holds');
    context.signal.addEventListener('abort', resolve);
  });
  return process.pid;
}`;

let wafer: TestPlatform;
let deployed: string[] = [];

async function start(env: Record<string, string>): Promise<void> {
  wafer = await startTestPlatform(env);
}
async function deploy(name: string, config: object = {}, files: Record<string, string> = { 'index.mjs': CODE }) {
  await wafer.deploy(name, files, config);
  deployed.push(name);
}
afterEach(async () => {
  for (const name of deployed) await wafer.remove(name);
  deployed = [];
  await wafer.stop();
});

const explain = async (name: string) =>
  (await (await wafer.fetch(`/v1/functions/${name}/explain`)).json()) as Explanation;
const codes = async (name: string) => (await explain(name)).advice.map(({ code }) => code);
/** Until none of its instances has a call. */
const untilIdle = (name: string) =>
  until(`${name} is idle`, async () => {
    const { instances } = (await (await wafer.fetch('/v1/instances')).json()) as {
      instances: { functionName: string; state: string }[];
    };
    return instances.every(({ functionName, state }) => functionName !== name || state === 'idle');
  });

/** A call comes while another has the first instance; then both are idle. */
async function twoAtOnce(name: string): Promise<void> {
  const leave = new AbortController();
  const url = `/v1/functions/${name}/invoke`;
  const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"hold":true}' };
  const held = wafer.fetch(url, { ...init, signal: leave.signal }).catch(() => {});
  await until('the first call holds its instance', async () => {
    const lines = await (await wafer.fetch(`/v1/functions/${name}/logs`)).text();
    return lines.includes('holds');
  });
  expect((await wafer.invoke(name)).status).toBe(200);
  leave.abort();
  await held;
  await untilIdle(name);
}

describe('explain', () => {
  it('tells first starts, busy instances, a lack of memory and failures apart, and names each', async () => {
    await start({ WAFER_BLANKS: '0', WAFER_MEMORY_MB: '256', WAFER_KEEP_ALIVE: 'fixed', WAFER_IDLE_MS: '600000' });
    for (const name of ['one', 'two']) await deploy(name, { memoryMb: 128, timeoutMs: 300_000 });
    await wafer.invoke('one');
    expect(await explain('one')).toMatchObject({
      kinds: { cold: { calls: 1 } },
      causes: { first: 1 },
      noBlank: { off: 1 },
      facts: {
        blank: 'off',
        blanksKept: 0,
        memoryBudgetMb: 256,
        memoryUsedMb: 128,
        layers: expect.arrayContaining([expect.objectContaining({ createdBy: 'code' })]),
      },
    });
    expect(await codes('one')).toContain('blanks_off');
    await twoAtOnce('one');
    expect(await explain('one')).toMatchObject({ causes: { first: 1, busy: 1 } });
    // No room for more: the starts of the other function end both.
    await twoAtOnce('two');
    await wafer.invoke('one');
    expect(await explain('one')).toMatchObject({ causes: { first: 1, busy: 1, evicted: 1 } });
    expect((await wafer.invoke('one', { exit: true })).status).toBe(502);
    await wafer.invoke('one');
    expect((await explain('one')).causes).toEqual({ first: 1, busy: 1, evicted: 1, ended: 1 });
    expect(await codes('one')).toEqual(expect.arrayContaining(['blanks_off', 'busy', 'evicted', 'ended']));
    const { status, stdout } = await wafer.wafer(['explain', 'one']);
    expect(status).toBe(0);
    for (const text of [' · node on node24', 'cold', 'boot', 'What would help', 'WAFER_MEMORY_MB', 'wafer logs one'])
      expect(stdout).toContain(text);
  });

  it('tells why no blank was there: all were taken, or the function starts a program of its own', async () => {
    await start({ WAFER_BLANKS: '1' });
    const names = Array.from({ length: 8 }, (_, at) => `many-${at}`);
    for (const name of names) await deploy(name);
    const replies = await Promise.all(names.map((name) => wafer.invoke(name)));
    const cold = names.filter((_, at) => replies[at]?.headers.get('x-wafer-start') === 'cold');
    expect(cold.length).toBeGreaterThan(0);
    for (const name of cold) {
      expect(await explain(name)).toMatchObject({
        noBlank: { none_ready: 1 },
        facts: { blank: 'fits', blanksKept: 1 },
      });
      expect(await codes(name)).toContain('no_blank_ready');
    }
    const server = `import { createServer } from 'node:http';
      createServer((request, response) => response.end('1')).listen(process.env.PORT);`;
    await deploy('served', { runtime: 'http', command: ['node', 'server.mjs'] }, { 'server.mjs': server });
    await wafer.invoke('served');
    expect(await explain('served')).toMatchObject({ noBlank: { own_program: 1 }, facts: { blank: 'own_program' } });
    expect(await codes('served')).toContain('own_command');
  });

  it('counts the attempts of accepted calls, without the time that they waited for their turn', async () => {
    await start({ WAFER_BLANKS: '0' });
    await deploy('later', {}, { 'index.mjs': 'export const handler = (event) => event;' });
    const { status, stdout } = await wafer.wafer(['invoke', 'later', '--async', '--wait', '--delay', '2s', '--json']);
    expect(status).toBe(0);
    const { kinds, causes } = await explain('later');
    expect([Object.keys(kinds), kinds.cold?.calls, causes]).toEqual([['cold'], 1, { first: 1 }]);
    const { durationMs } = JSON.parse(stdout) as { durationMs: number };
    // Its delay is in how long it took from acceptance to end, not in what the start and the handler took.
    expect(kinds.cold?.wall.p50).toBeLessThan(durationMs - 1900);
  });
});
