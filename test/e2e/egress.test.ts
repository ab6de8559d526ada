/** Egress of deployed functions: settings, blanks, the access log, and what the operator allows. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { StoredEgressEntry } from '../../services/core/egress/types.ts';
import { readHoldings, untilHeld } from '../helpers/leaks.ts';
import { startTestPlatform, type TestPlatform } from '../helpers/platform.ts';
import { until } from '../helpers/until.ts';

const CODE = {
  'index.mjs': `
import { get } from 'node:http';
import { readFileSync } from 'node:fs';
const ask = (url) => new Promise((resolve) => {
  const request = get(url, { agent: false }, (response) => {
    let text = '';
    response.on('data', (chunk) => (text += chunk)).on('end', () => resolve(text)).on('error', (e) => resolve('!' + e.code));
  });
  request.on('error', (e) => resolve('!' + e.code));
});
const read = (path) => { try { return readFileSync(path, 'utf8'); } catch (e) { return e.code; } };
export const handler = async ({ urls = [] }) => ({
  answers: await Promise.all(urls.map(ask)),
  routes: read('/proc/self/net/route').trim().split('\\n').slice(1),
  listeners: read('/proc/self/net/tcp').trim().split('\\n').slice(1),
  resolv: read('/etc/resolv.conf'),
});
`,
};
const PYTHON = {
  'main.py': `
import urllib.request
def handler(event, context):
    try:
        return urllib.request.urlopen(event["url"], timeout=20).read().decode()
    except Exception as error:
        return "!" + str(error)
`,
};

interface Said {
  answers: string[];
  routes: string[];
  listeners: string[];
  resolv: string;
}

let wafer: TestPlatform;
let server: Server;
let hits = 0;
beforeAll(async () => {
  server = createServer((request, response) => {
    hits++;
    response.end(`you asked ${request.headers.host}`);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  wafer = await startTestPlatform({
    WAFER_EGRESS: `public,host.wafer.internal:${port()},10.9.0.0/16:*`,
    WAFER_EGRESS_CONNECTIONS: '8',
    WAFER_BLANKS: '2',
  });
});
afterAll(async () => {
  for (const name of ['egress-some', 'egress-none', 'egress-py', 'egress-public', 'egress-many'])
    await wafer?.remove(name);
  await wafer?.stop();
  server?.close();
});
const port = () => (server.address() as AddressInfo).port;
const home = () => `http://host.wafer.internal:${port()}/`;
const only = () => ({ egress: [`host.wafer.internal:${port()}`] });
const say = async (name: string, event: object) => {
  const reply = await wafer.invoke(name, event);
  expect(reply.status).toBe(200);
  return { start: reply.headers.get('x-wafer-start'), ...(reply.body as Said) };
};
/** Only of this run: the data directory outlives it. */
const since = new Date().toISOString();
const logOf = async (query = '?') => {
  const text = await (await wafer.fetch(`/v1/egress/log${query}&since=${since}`)).text();
  return text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as StoredEgressEntry]));
};
const instances = async () =>
  (await (await wafer.fetch('/v1/instances')).json()) as {
    blanks: { runtime: string; egress: boolean; ready: number; booting: number }[];
  };
/** Blanks of Node with a way out, or those without. */
const whenReady = (egress: boolean) =>
  until(`node blanks ${egress ? 'with' : 'without'} a way out are ready`, async () =>
    (await instances()).blanks.some((one) => one.runtime === 'node' && one.egress === egress && one.ready >= 2),
  );

describe('a function with egress', () => {
  it('is called on a blank for the first time, and reaches what its version names', async () => {
    await wafer.deploy('egress-some', CODE, only());
    await whenReady(true);
    const { start, answers } = await say('egress-some', {
      urls: [home(), 'http://elsewhere.example/', 'http://10.9.1.1/'],
    });
    expect(start).toBe('blank');
    expect(answers).toEqual([`you asked host.wafer.internal:${port()}`, '!ENOTFOUND', expect.stringMatching(/^!/)]);
  });

  it('has each connection in the access log, with bytes, verdict and reason', async () => {
    const entries = await until('the log has all of them', async () => {
      const found = await logOf('?function=egress-some');
      return found.length >= 3 && found;
    });
    expect(entries.find(({ host }) => host === 'host.wafer.internal')).toMatchObject({
      functionName: 'egress-some',
      version: expect.any(Number),
      address: expect.stringMatching(/^(127\.0\.0\.1|::1)$/),
      port: port(),
      verdict: 'allowed',
      count: 1,
    });
    expect(entries.find(({ host }) => host === 'elsewhere.example')).toMatchObject({ verdict: 'denied', port: 0 });
    expect(entries.find(({ address }) => address === '10.9.1.1')).toMatchObject({ verdict: 'denied', port: 80 });
    const { stdout } = await wafer.wafer(['egress', 'log', 'egress-some']);
    expect(stdout).toMatch(/egress-some v\d+ {2}allowed {2}host\.wafer\.internal:\d+/);
    expect(stdout).toMatch(/denied {2}elsewhere\.example {2}no rule allows the name/);
    const { stdout: denied } = await wafer.wafer(['egress', 'log', '--verdict', 'denied', '--json']);
    expect(
      denied
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as StoredEgressEntry).verdict),
    ).not.toContain('allowed');
  });

  it('of Python reaches it, too', async () => {
    await wafer.deploy('egress-py', PYTHON, { runtime: 'python', handler: 'main.handler', ...only() });
    expect((await wafer.invoke('egress-py', { url: home() })).body).toBe(`you asked host.wafer.internal:${port()}`);
    expect((await wafer.invoke('egress-py', { url: 'http://169.254.169.254/' })).body).toMatch(/^!/);
  });

  it('with the public internet does not reach this machine', async () => {
    await wafer.deploy('egress-public', CODE, { egress: 'public' });
    const before = hits;
    const urls = ['host.wafer.internal', '127.0.0.1', 'localhost', '0.0.0.0', '[::1]', '10.9.1.1'];
    const { answers } = await say('egress-public', { urls: urls.map((host) => `http://${host}:${port()}/`) });
    expect(answers.every((text) => text.startsWith('!'))).toBe(true);
    expect(hits).toBe(before);
  });
});

describe('a function without egress', () => {
  it('F35: gets a blank that has no route, no listener and no resolver, beside those that have', async () => {
    await wafer.deploy('egress-none', CODE);
    for (const egress of [true, false]) await whenReady(egress);
    const { start, answers, ...network } = await say('egress-none', { urls: [home(), 'http://10.9.1.1/'] });
    expect(start).toBe('blank');
    expect(answers).toEqual([expect.stringMatching(/^!E(NOTFOUND|AI_AGAIN)$/), '!ENETUNREACH']);
    expect(network).toEqual({ routes: [], listeners: [], resolv: expect.stringMatching(/^(ENOENT)?$/) });
    expect(await logOf('?function=egress-none')).toEqual([]);
  });
});

describe('the operator', () => {
  it('has what is above the ceiling refused when it is deployed', async () => {
    await expect(wafer.deploy('egress-many', CODE, { egress: ['192.168.1.1:22'] })).rejects.toThrow(
      /400.*egress\/0: is not among what the operator of this platform allows \(WAFER_EGRESS\)/,
    );
    await expect(wafer.deploy('egress-many', CODE, { egress: ['api.example.com'] })).rejects.toThrow(/needs a port/);
  });

  it('F38: limits how many connections all functions have open', async () => {
    await wafer.deploy('egress-many', CODE, only());
    const urls = Array.from({ length: 40 }, () => home());
    const { answers } = await say('egress-many', { urls });
    const reached = answers.filter((text) => text.startsWith('you asked'));
    expect(reached.length).toBeGreaterThanOrEqual(1);
    const refused = await until('the log tells why', async () =>
      (await logOf('?function=egress-many&verdict=denied')).find(({ reason }) =>
        reason.includes('WAFER_EGRESS_CONNECTIONS'),
      ),
    );
    expect(reached.length + refused.count).toBeLessThanOrEqual(40);
    expect((await say('egress-many', { urls: [home()] })).answers).toEqual([`you asked host.wafer.internal:${port()}`]);
  });

  it('has the sums in the metrics', async () => {
    const text = await until('all connections have ended', async () => {
      const metrics = await (await wafer.fetch('/metrics')).text();
      return /^wafer_egress_open 0$/m.test(metrics) && metrics;
    });
    expect(text).toMatch(/^wafer_egress_connections_total\{verdict="allowed"\} [1-9]/m);
    expect(text).toMatch(/^wafer_egress_connections_total\{verdict="denied"\} [1-9]/m);
    expect(text).toMatch(/^wafer_egress_bytes_total\{direction="down"\} [1-9]/m);
  });
});

it('connections, denials and ends leave nothing behind', async () => {
  const before = await readHoldings(wafer);
  for (let round = 0; round < 3; round++)
    await say('egress-some', { urls: [home(), home(), 'http://10.9.1.1/', 'http://a.example/'] });
  expect(await untilHeld(wafer, before)).toEqual(before);
});
