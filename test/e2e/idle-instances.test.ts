/** What instances do between their calls: nothing, and they are there for the next. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestPlatform, type TestPlatform } from '../helpers/platform.ts';
import { until } from '../helpers/until.ts';

/** It goes on counting after its call. */
const CODE = `
let count = 0;
setInterval(() => { count++; }, 5);
export const handler = () => ({ count, now: Date.now() });`;

/** The same, by a server of an image of its own. */
const SERVER = {
  'server.mjs': `import { createServer } from 'node:http';
let count = 0;
setInterval(() => { count++; }, 5);
createServer((request, response) => {
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ count, now: Date.now() }));
}).listen(Number(process.env.PORT), '127.0.0.1');
`,
  Dockerfile: 'FROM node24\nCOPY server.mjs /srv/server.mjs\nEXPOSE 8080\nCMD ["node", "/srv/server.mjs"]\n',
};

let wafer: TestPlatform;
beforeAll(async () => {
  wafer = await startTestPlatform();
  await wafer.deploy('restless', { 'index.mjs': CODE });
  await wafer.deploy('restless-old', { 'index.mjs': CODE });
  await wafer.deploy('restless-server', SERVER, { dockerfile: 'Dockerfile' });
});
afterAll(async () => {
  await wafer.remove('restless');
  await wafer.remove('restless-old');
  await wafer.remove('restless-server');
  await wafer.stop();
});

const seen = async (name = 'restless') => {
  const { status, headers, body } = await wafer.invoke(name);
  expect(status).toBe(200);
  return { ...(body as { count: number; now: number }), start: headers.get('x-wafer-start') };
};

describe.concurrent('an idle instance', () => {
  it.each([
    ['over a base image', 'restless'],
    ['over a root of its own', 'restless-server'],
  ])('%s stands still after a while, and serves the next call warm', async (_where, name) => {
    let before = await seen(name);
    await until('a pause in which it did not count', async () => {
      await new Promise((resolve) => setTimeout(resolve, 12_000));
      const after = await seen(name);
      const ran = (after.count - before.count) * 5;
      const passed = after.now - before.now;
      before = after;
      expect(after.start).toBe('warm');
      return ran < passed * 0.7;
    });
  });

  it('that is frozen ends like any other', async () => {
    await seen('restless-old');
    await new Promise((resolve) => setTimeout(resolve, 6_000));
    await wafer.deploy('restless-old', { 'index.mjs': `${CODE}\n// again` });
    const { start } = await seen('restless-old');
    expect(start).not.toBe('warm');
    await until('the old one is gone', async () => {
      const { instances } = (await (await wafer.fetch('/v1/instances')).json()) as {
        instances: { functionName: string; version: number }[];
      };
      return instances.filter(({ functionName }) => functionName === 'restless-old').length === 1;
    });
  });
});
