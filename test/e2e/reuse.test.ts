/** Versions that opt out of reuse: each call has an instance of its own, and nothing of one call is there in another. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Reply, startTestPlatform, type TestPlatform } from '../helpers/platform.ts';
import { until } from '../helpers/until.ts';

/** Leaves something in every place that a call can write to, and says what it found there. */
const CODE = `import { existsSync, writeFileSync } from 'node:fs';
let calls = 0;
export const handler = async (event) => {
  const found = [calls++ > 0 && 'memory', globalThis.left && 'global', process.env.LEFT && 'env', existsSync('/tmp/left') && 'tmp'];
  globalThis.left = true;
  process.env.LEFT = 'yes';
  writeFileSync('/tmp/left', 'x');
  if (event?.ms) await new Promise((resolve) => setTimeout(resolve, event.ms));
  return { found: found.filter(Boolean), pid: process.pid };
};`;
const PYTHON = `import os
calls = 0

def handler(event, context):
    global calls
    calls += 1
    found = (["memory"] if calls > 1 else []) + (["tmp"] if os.path.exists("/tmp/left") else [])
    open("/tmp/left", "w").close()
    return {"found": found}
`;
const OWN_ROOT = { runtime: 'node', dockerfile: 'Dockerfile' };
const DOCKERFILE = 'FROM node24\nCOPY index.mjs /function/index.mjs\n';
const NAMES = ['reuse-none', 'reuse-python', 'reuse-kept', 'reuse-root', 'reuse-all'];

let wafer: TestPlatform;
beforeAll(async () => {
  wafer = await startTestPlatform();
});
afterAll(async () => {
  for (const name of NAMES) await wafer?.remove(name);
  await wafer?.stop();
});

const startOf = (reply: Reply) => reply.headers.get('x-wafer-start');
const foundBy = (reply: Reply) => (reply.body as { found: string[] }).found;
const idsOf = async (name: string) => {
  const { instances } = (await (await wafer.fetch('/v1/instances')).json()) as {
    instances: { id: string; functionName: string; state: string }[];
  };
  return instances.filter(({ functionName }) => functionName === name);
};

describe('a version with "reuse": false', () => {
  it('finds nothing of the call before, which one that is reused does', async () => {
    await wafer.deploy('reuse-all', { 'index.mjs': CODE });
    await wafer.invoke('reuse-all');
    expect(foundBy(await wafer.invoke('reuse-all'))).toEqual(['memory', 'global', 'env', 'tmp']);
    await wafer.deploy('reuse-none', { 'index.mjs': CODE }, { reuse: false });
    for (let call = 0; call < 5; call++) {
      const reply = await wafer.invoke('reuse-none');
      expect(reply.status).toBe(200);
      expect(foundBy(reply)).toEqual([]);
      expect(startOf(reply)).not.toBe('warm');
    }
  });

  it('takes a blank for each call, and leaves no instance behind', async () => {
    await until('a call took a blank', async () => startOf(await wafer.invoke('reuse-none')) === 'blank');
    await until('no instance is left', async () => (await idsOf('reuse-none')).length === 0);
  });

  it('serves calls at once in an instance each', async () => {
    const replies = await Promise.all(Array.from({ length: 4 }, () => wafer.invoke('reuse-none', { ms: 300 })));
    expect(replies.map(foundBy)).toEqual([[], [], [], []]);
    expect(replies.map(startOf)).not.toContain('warm');
  });

  it('is the same for Python', async () => {
    await wafer.deploy('reuse-python', { 'main.py': PYTHON }, { reuse: false });
    for (let call = 0; call < 3; call++) expect(foundBy(await wafer.invoke('reuse-python'))).toEqual([]);
  });

  it('has minInstances loaded ahead of their one call', async () => {
    await wafer.deploy('reuse-kept', { 'index.mjs': CODE }, { reuse: false, minInstances: 1 });
    for (let call = 0; call < 3; call++) {
      await until('one is ready', async () => (await idsOf('reuse-kept')).some(({ state }) => state === 'idle'));
      const reply = await wafer.invoke('reuse-kept');
      expect(startOf(reply)).toBe('warm');
      expect(foundBy(reply)).toEqual([]);
    }
  });

  it('over a root of its own has the next instance booted after a call', async () => {
    await wafer.deploy('reuse-root', { 'index.mjs': CODE, Dockerfile: DOCKERFILE }, { ...OWN_ROOT, reuse: false });
    expect(startOf(await wafer.invoke('reuse-root'))).toBe('cold');
    await until('one is ready', async () => (await idsOf('reuse-root')).some(({ state }) => state === 'idle'));
    const reply = await wafer.invoke('reuse-root');
    expect(startOf(reply)).toBe('warm');
    expect(foundBy(reply)).toEqual([]);
  });

  it('is told so where it makes no sense, and described', async () => {
    await expect(wafer.deploy('reuse-bad', { 'index.mjs': CODE }, { reuse: false, concurrency: 3 })).rejects.toThrow(
      /must be 1 with \\"reuse\\": false/,
    );
    expect((await wafer.wafer(['describe', 'reuse-none'])).stdout).toContain('an instance for each call');
  });
});
