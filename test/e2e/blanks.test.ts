/** First calls that take a blank: a booted runtime without code, to which the version is attached. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BlankInfo } from '../../services/core/invocations/types.ts';
import { type Reply, startTestPlatform, type TestPlatform } from '../helpers/platform.ts';
import { hostProcesses, processTree } from '../helpers/processes.ts';
import { until } from '../helpers/until.ts';

const CODE = `
const loaded = Math.random();
export const handler = async (event) => ({
  said: event,
  number: NUMBER,
  loaded,
  cwd: process.cwd(),
  env: process.env,
  function: (await import('node:fs')).readdirSync('/function'),
});
`;
const code = (number: number) => ({ 'index.mjs': CODE.replace('NUMBER', String(number)) });
const PYTHON = {
  'main.py': 'import os\n\ndef handler(event, context):\n    return {"said": event, "cwd": os.getcwd()}\n',
};

let wafer: TestPlatform;
beforeAll(async () => {
  wafer = await startTestPlatform({ WAFER_BLANKS: '2' });
});
afterAll(async () => {
  for (const name of ['blank-a', 'blank-b', 'blank-py', 'blank-tmp', 'blank-bad', 'blank-fetch', 'blank-plain'])
    await wafer?.remove(name);
  await wafer?.stop();
});

const startOf = (reply: Reply) => reply.headers.get('x-wafer-start');
const instances = async () => (await (await wafer.fetch('/v1/instances')).json()) as { blanks: BlankInfo[] };
const phasesOf = (reply: Reply) =>
  Object.fromEntries(
    [...(reply.headers.get('server-timing') ?? '').matchAll(/(\w+);dur=([\d.]+)/g)].map(([, name, ms]) => [
      name,
      Number(ms),
    ]),
  );

/** Until there are at least as many as are always to be; of functions with volumes or egress there may be more kinds. */
const whenReady = (runtime: string) =>
  until(`${runtime} blanks are ready`, async () =>
    (await instances()).blanks.some(
      (one) => one.runtime === runtime && !one.egress && one.volumes === 0 && one.ready >= 2,
    ),
  );

describe('the first call of a version', () => {
  it('takes a blank, answers right, and pays for no sandbox and no boot', async () => {
    await wafer.deploy('blank-a', code(1), { env: { SECRET: 'of a' } });
    await whenReady('node');
    const reply = await wafer.invoke('blank-a', 'hello');
    expect(startOf(reply)).toBe('blank');
    expect(reply.body).toMatchObject({ said: 'hello', number: 1, cwd: '/function', function: ['index.mjs'] });
    const phases = phasesOf(reply);
    expect(phases['attach']).toBeGreaterThan(0);
    expect(phases['sandbox'] ?? 0).toBe(0);
    expect(startOf(await wafer.invoke('blank-a', 'again'))).toBe('warm');
  });

  it('takes a blank of its own: neither another version nor another function is in it', async () => {
    await wafer.deploy('blank-a', code(2), { env: { SECRET: 'of a' } });
    await whenReady('node');
    const second = await wafer.invoke('blank-a', 1);
    const { number } = await wafer.deploy('blank-b', code(3));
    await whenReady('node');
    const other = await wafer.invoke('blank-b', 2);
    expect([second, other].map(startOf)).toEqual(['blank', 'blank']);
    expect([second, other].map(({ body }) => (body as { number: number }).number)).toEqual([2, 3]);
    expect(new Set([second, other].map(({ body }) => (body as { loaded: number }).loaded)).size).toBe(2);
    expect((second.body as { env: object }).env).toMatchObject({ SECRET: 'of a', WAFER_FUNCTION: 'blank-a' });
    expect((other.body as { env: object }).env).not.toHaveProperty('SECRET');
    expect((other.body as { env: object }).env).toMatchObject({
      WAFER_FUNCTION: 'blank-b',
      WAFER_VERSION: String(number),
    });
  });

  it('takes one that has loaded what the code asks for, and is told nothing of it', async () => {
    const loaded = 'const loaded = process.moduleLoadList.length;';
    const plain = { 'index.mjs': `${loaded}\nexport const handler = () => loaded;` };
    const fetching = {
      'index.mjs': `${loaded}\nexport const handler = async (request) => Response.json({ loaded, ...(await request.json()), env: process.env });`,
    };
    const { preload } = (await wafer.deploy('blank-fetch', fetching)) as { preload?: string };
    expect(preload).toBe('fetch');
    await wafer.deploy('blank-plain', plain);
    const few = Number((await wafer.invoke('blank-plain')).body);
    await until('one that has loaded fetch serves', async () => {
      await whenReady('node');
      await wafer.deploy('blank-fetch', fetching);
      const reply = await wafer.fetch('/fn/blank-fetch/', { method: 'POST', body: '{"n":1}' });
      const body = (await reply.json()) as { loaded: number; n: number; env: object };
      expect(body.n).toBe(1);
      expect(body.env).not.toHaveProperty('WAFER_BLANK');
      return body.loaded > few + 50;
    });
  });

  it('of Python takes one of Python', async () => {
    await wafer.deploy('blank-py', PYTHON, { runtime: 'python', handler: 'main.handler' });
    await whenReady('python');
    const reply = await wafer.invoke('blank-py', [1]);
    expect(startOf(reply)).toBe('blank');
    expect(reply.body).toEqual({ said: [1], cwd: '/function' });
  });

  it.each([32, 100])('has the /tmp that its version asks for, of %i MiB', async (tmpMb) => {
    const size = `import { statfsSync } from 'node:fs';
      export const handler = () => { const { blocks, bsize } = statfsSync('/tmp'); return (blocks * bsize) / 1024 / 1024; };`;
    await wafer.deploy('blank-tmp', { 'index.mjs': size }, { tmpMb });
    await whenReady('node');
    const reply = await wafer.invoke('blank-tmp', 1);
    expect(startOf(reply)).toBe('blank');
    expect(reply.body).toBe(tmpMb);
  });

  it('says why the function does not load, as without blanks', async () => {
    await wafer.deploy('blank-bad', { 'index.mjs': 'throw new RangeError("broken")' });
    await whenReady('node');
    const reply = await wafer.invoke('blank-bad', 1);
    expect(startOf(reply)).toBe('blank');
    expect(reply.body).toMatchObject({ code: 'function_init_failed' });
  });

  it('gets the next blank when none is ready, and pays for the wait', async () => {
    const names = Array.from({ length: 6 }, (_, at) => `blank-burst-${at}`);
    for (const [at, name] of names.entries()) await wafer.deploy(name, code(at));
    await whenReady('node');
    const replies = await Promise.all(names.map((name) => wafer.invoke(name, name)));
    expect(replies.map(({ body }) => (body as { number: number }).number)).toEqual([0, 1, 2, 3, 4, 5]);
    const waited = replies.filter((reply) => startOf(reply) === 'cold').map(phasesOf);
    for (const phases of waited) {
      // It was bound, too: it waited for a blank, and booted nothing of its own.
      expect(phases['attach']).toBeGreaterThan(0);
      expect(phases['boot']).toBeGreaterThan(0);
    }
    for (const name of names) await wafer.remove(name);
  });

  it('is served with or without a blank when many come at once', async () => {
    const replies = await Promise.all(Array.from({ length: 8 }, () => wafer.invoke('blank-b', 'many')));
    expect(replies.map(({ body }) => (body as { number: number }).number)).toEqual(Array(8).fill(3));
  });
});

describe('blanks', () => {
  it('are shown by ps and in the metrics', async () => {
    await whenReady('node');
    // More than those that are always kept where boots are slow: the calls before took that many.
    const { stdout } = await wafer.wafer(['ps']);
    expect(
      Number(/Ready for first calls: (\d+) node on node24(?! with)/.exec(stdout)?.[1]),
      stdout,
    ).toBeGreaterThanOrEqual(2);
    expect(await (await wafer.fetch('/metrics')).text()).toMatch(/^wafer_blanks_ready [1-9]/m);
  });
});

describe('a platform', () => {
  it('leaves no blank behind when it stops, and makes them at its next start before any call', async () => {
    await whenReady('node');
    const blanks = (await processTree(wafer.pid)).filter(({ pid }) => pid !== wafer.pid);
    expect(blanks.filter(({ command }) => command === 'node').length).toBeGreaterThanOrEqual(2);
    await wafer.stop();
    const isOne = (one: { pid: number; uid: number }) =>
      blanks.some(({ pid, uid }) => one.pid === pid && one.uid === uid);
    await until('nothing is left', async () => !(await hostProcesses()).some(isOne));
    wafer = await startTestPlatform({ WAFER_BLANKS: '2' });
    await whenReady('node');
    expect(startOf(await wafer.invoke('blank-b', 1))).toBe('blank');
  });

  it('starts cold when it is to have no blanks', async () => {
    await wafer.stop();
    wafer = await startTestPlatform({ WAFER_BLANKS: '0' });
    const reply = await wafer.invoke('blank-a', 'cold');
    expect(startOf(reply)).toBe('cold');
    expect(reply.body).toMatchObject({ said: 'cold', number: 2 });
    expect(phasesOf(reply)['attach'] ?? 0).toBe(0);
    expect((await instances()).blanks).toEqual([]);
  });
});
