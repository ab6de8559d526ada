/** A platform whose programs of Python are forked from a zygote (`WAFER_PYTHON_ZYGOTE=on`). */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BlankInfo } from '../../services/core/invocations/types.ts';
import { startTestPlatform, type TestPlatform } from '../helpers/platform.ts';
import { hostProcesses, processTree } from '../helpers/processes.ts';
import { until } from '../helpers/until.ts';

const CODE = {
  'main.py': `
import asyncio, os, ssl, sys, urllib.request

def handler(event, context):
    with open("/proc/self/cmdline") as file:
        command = file.read().split("\\0")
    return {"said": event, "forked": "/.wafer/python/zygote.py" in command, "uid": os.getuid(),
            "secret": os.environ.get("SECRET"), "function": os.environ["WAFER_FUNCTION"], "cwd": os.getcwd()}
`,
};
const CONFIG = { runtime: 'python', handler: 'main.handler' };

let wafer: TestPlatform;
const start = async (blanks: string) => {
  wafer = await startTestPlatform({ WAFER_BLANKS: blanks, WAFER_PYTHON_ZYGOTE: 'on' });
};
beforeAll(() => start('2'));
afterAll(async () => {
  for (const name of ['zygote-a', 'zygote-b', 'zygote-c']) await wafer?.remove(name);
  await wafer?.stop();
});

const isReady = async () => {
  const { blanks } = (await (await wafer.fetch('/v1/instances')).json()) as { blanks: BlankInfo[] };
  return blanks.some(({ runtime, ready, booting }) => runtime === 'python' && ready > 0 && booting === 0);
};
const startOf = (reply: { headers: Headers }) => reply.headers.get('x-wafer-start');
/** Every deploy is a version that was never called. */
const untilForked = (name: string) =>
  until(`a first call of ${name} is answered by what a zygote made`, async () => {
    await wafer.deploy(name, CODE, { ...CONFIG, env: { SECRET: `of ${name}` } });
    await until('blanks are ready', isReady);
    const reply = await wafer.invoke(name, 'hello');
    const body = reply.body as { forked: boolean };
    return body.forked && { body, start: startOf(reply) };
  });
/** It is the worker's own user; what it makes is not. */
const zygotes = async () => {
  const tree = await processTree(wafer.pid);
  const own = tree.find(({ pid }) => pid === wafer.pid)?.uid;
  return tree.filter(({ command, uid }) => command === 'python3' && uid === own);
};

describe('a platform with zygotes', () => {
  it('answers first calls by blanks that one of them made', async () => {
    const { body, start: was } = await untilForked('zygote-a');
    expect(was).toBe('blank');
    expect(body).toEqual({
      said: 'hello',
      forked: true,
      uid: 1000,
      secret: 'of zygote-a',
      function: 'zygote-a',
      cwd: '/function',
    });
    expect(await zygotes()).toHaveLength(1);
    expect((await wafer.invoke('zygote-a', 'again')).body).toMatchObject({ said: 'again' });
  });

  it('keeps functions apart that one of them made', async () => {
    await untilForked('zygote-b');
    const [a, b] = await Promise.all([wafer.invoke('zygote-a', 1), wafer.invoke('zygote-b', 2)]);
    expect([a, b].map(({ body }) => (body as { secret: string }).secret)).toEqual(['of zygote-a', 'of zygote-b']);
    const users = (await processTree(wafer.pid)).filter(({ command }) => command === 'python3').map(({ uid }) => uid);
    expect(new Set(users).size).toBe(users.length);
  });

  it('goes on when one is killed: what it made answers, and another follows', async () => {
    await untilForked('zygote-a');
    const [killed] = await zygotes();
    process.kill(killed?.pid ?? 0, 'SIGKILL');
    expect((await wafer.invoke('zygote-a', 'after')).body).toMatchObject({ said: 'after', forked: true });
    await untilForked('zygote-c');
    expect((await zygotes()).map(({ pid }) => pid)).not.toContain(killed?.pid);
  });

  it('leaves none behind, and serves calls that find no blank by one, too', async () => {
    const before = await zygotes();
    await wafer.stop();
    await until('none is left', async () => {
      const now = await hostProcesses();
      return !before.some(({ pid, uid }) => now.some((one) => one.pid === pid && one.uid === uid));
    });
    await start('0');
    await until('a cold call is answered by what a zygote made', async () => {
      await wafer.deploy('zygote-a', CODE, CONFIG);
      const reply = await wafer.invoke('zygote-a', 'cold');
      expect(startOf(reply)).toBe('cold');
      return (reply.body as { forked: boolean }).forked;
    });
  });
});
