/** Hostile functions through the whole platform: each call ends with its own outcome, and other functions are served meanwhile. */
import { readdir, readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Reply, startTestPlatform, type TestPlatform } from '../helpers/platform.ts';
import { processTree } from '../helpers/processes.ts';
import { TEST_DATA } from '../helpers/test-data.ts';
import { until } from '../helpers/until.ts';

const CODE = `
import fs from 'node:fs';
import net from 'node:net';
import { spawn } from 'node:child_process';
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const head = (length, type, call) => { const b = Buffer.alloc(9); b.writeUInt32BE(length, 0); b[4] = type; b.writeUInt32BE(call, 5); return b; };
const json = (type, call, value) => { const body = Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)); return Buffer.concat([head(body.length, type, call), body]); };
const sendAndWait = async (...frames) => { for (const frame of frames) fs.writeSync(3, frame); await wait(60_000); };
const detached = (command, ...args) => spawn(command, args, { detached: true, stdio: 'ignore' }).unref();
const connect = (options) => new Promise((resolve) => {
  const socket = net.connect({ ...options, timeout: 1500 }, () => { socket.destroy(); resolve('connected'); });
  socket.on('error', (error) => resolve(error.code));
  socket.on('timeout', () => { socket.destroy(); resolve('timeout'); });
});
const acts = {
  write({ bytes, fill, fd = 1 }) { const chunk = Buffer.alloc(65536, fill); let done = 0; while (done < bytes) done += fs.writeSync(fd, chunk); return done; },
  writeForEver({ fill }) { const chunk = Buffer.alloc(65536, fill); for (;;) fs.writeSync(1, chunk); },
  print({ lines, chars }) { for (let i = 0; i < lines; i++) console.log('x'.repeat(chars)); return lines; },
  binary() { fs.writeSync(1, Buffer.from('a\\0b\\x1b[2J\\xff\\xfe\\r\\n{"stream":"platform","text":"fake"}\\n', 'latin1')); return wait(200); },
  garbage() { return sendAndWait(Buffer.alloc(64, 0xff)); },
  hugeLength() { return sendAndWait(head(0x80000000, 0x85, 1)); },
  unknownCall() { return sendAndWait(json(0x84, 4096, { kind: 'value', contentType: 'application/json' })); },
  endFirst() { return sendAndWait(head(0, 0x86, 1)); },
  secondReady() { return sendAndWait(json(0x81, 0, { protocol: 1, runtime: 'node', runtimeVersion: '1' })); },
  proto() { return sendAndWait(json(0x84, 1, '{"__proto__":{"kind":"value"},"kind":"value","contentType":"a/b"}')); },
  deep() { return sendAndWait(json(0x84, 1, '['.repeat(100_000) + ']'.repeat(100_000))); },
  hostFrame() { return sendAndWait(json(0x02, 7, { invocationId: 'x', kind: 'event' })); },
  neverEnds() { return sendAndWait(json(0x84, 1, { kind: 'value', contentType: 'application/json' }), json(0x85, 1, 'x')); },
  async tooMuch() {
    fs.writeSync(3, json(0x84, 1, { kind: 'value', contentType: 'a/b' }));
    const frame = Buffer.concat([head(65536, 0x85, 1), Buffer.alloc(65536)]);
    for (let sent = 0; ; ) { // never a byte of it is waited for
      try { sent = (sent + fs.writeSync(3, frame, sent)) % frame.length; } catch (error) { if (error.code !== 'EAGAIN') throw error; }
    }
  },
  closeControl() { fs.closeSync(3); return wait(60_000); },
  leave() { detached('sleep', '600'); return 'left'; },
  bomb() { detached('sh', '-c', 'f() { f | f & }; f; while :; do :; done'); return wait(300); },
  count() { return fs.readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name)).length; },
  sigterm() { for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(name, () => { for (;;); }); for (;;); },
  connect: ({ to }) => connect(to),
  unix() { return fs.readFileSync('/proc/net/unix', 'utf8'); },
  environment() { return process.env; },
  throwPath() { fs.readFileSync('/function/no'); },
  deepResult() { let value = 0; for (let i = 0; i < 1000; i++) value = [value]; return value; },
  odd() { return JSON.parse('{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}},"s":"\\\\ud800"}'); },
};
export const handler = (event) => acts[event.act](event);`;

let wafer: TestPlatform;
const NAMES = ['hostile', 'patient', 'flood', 'neighbour'];
const act = (name: string, more: object = {}): Promise<Reply> => wafer.invoke('hostile', { act: name, ...more });
/** The same code with time for what ends by itself, also on a slow machine. */
const actInTime = (name: string, more: object): Promise<Reply> => wafer.invoke('patient', { act: name, ...more });
const nextIsFine = async () => expect((await act('count')).body).toBe(1);
const rss = async () => Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${wafer.pid}/status`, 'utf8'))?.[1]) / 1024;
const logs = async (reply: Reply, from = 'hostile') => {
  const id = reply.headers.get('x-wafer-invocation');
  const text = await (await wafer.fetch(`/v1/functions/${from}/logs?invocation=${id}&limit=1000`)).text();
  return text
    .trim()
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as { stream: string; text: string });
};
const instancesOf = async (name: string) => {
  const { instances } = (await (await wafer.fetch('/v1/instances')).json()) as {
    instances: { id: string; functionName: string; state: string }[];
  };
  return instances.filter(({ functionName }) => functionName === name);
};
const commands = async () => (await processTree(wafer.pid)).map(({ command }) => command);

beforeAll(async () => {
  wafer = await startTestPlatform({ WAFER_CANARY: 'canary-of-the-host', LD_LIBRARY_PATH: '', WAFER_BLANKS: '0' });
  await wafer.deploy('hostile', { 'index.mjs': CODE }, { timeoutMs: 3000, memoryMb: 128 });
  await wafer.deploy('patient', { 'index.mjs': CODE }, { timeoutMs: 180_000, memoryMb: 128 });
  // The time in which a neighbour is served, also on a slow machine.
  await wafer.deploy('flood', { 'index.mjs': CODE }, { timeoutMs: 10_000, memoryMb: 128 });
  await wafer.deploy('neighbour', { 'index.mjs': 'export const handler = () => "served";' });
  await Promise.all([nextIsFine(), wafer.invoke('neighbour')]);
});
afterAll(async () => {
  await Promise.all(NAMES.map((name) => wafer?.remove(name)));
  await wafer?.stop();
});

describe('output', () => {
  it.each([
    ['one line of 300 MB', 'x', 300e6],
    ['lines', `${'x'.repeat(99)}\n`, 300e6],
    ['nothing but newlines', '\n', 100e6],
  ])('as fast as it goes, %s: bounded memory, a mark, and the call ends well', async (_what, fill, bytes) => {
    const before = await rss();
    const [reply] = await Promise.all([actInTime('write', { bytes, fill }), wafer.invoke('neighbour')]);
    expect(reply.status, JSON.stringify(reply.body)).toBe(200);
    expect((await rss()) - before).toBeLessThan(96);
    const lines = await until('the mark is stored', async () => {
      const found = await logs(reply, 'patient');
      return found.some(({ text }) => /dropped|…/.test(text)) && found;
    });
    expect(lines.reduce((sum, { text }) => sum + text.length, 0)).toBeLessThan(9 << 20);
    await nextIsFine();
  });
  it('for ever ends by the time-out, and a neighbour is served many times meanwhile', async () => {
    let over = false;
    const flood = wafer.invoke('flood', { act: 'writeForEver', fill: '\n' }).finally(() => (over = true));
    let served = 0;
    while (!over) served += (await wafer.invoke('neighbour')).body === 'served' ? 1 : 0;
    expect((await flood).body).toMatchObject({ code: 'function_timeout' });
    expect(served).toBeGreaterThan(20);
    expect((await wafer.invoke('flood', { act: 'count' })).body).toBe(1);
  });
  it('by console.log without end is cut with a mark', async () => {
    const reply = await actInTime('print', { lines: 100_000, chars: 100 });
    expect(reply.body).toBe(100_000);
    await until('the mark is stored', async () =>
      (await logs(reply, 'patient')).some(({ text }) => /dropped/.test(text)),
    );
    await nextIsFine();
  });
  it('that looks like a log of the platform stays a line of the function', async () => {
    await act('garbage'); // a new instance, whose meter is full
    const reply = await act('binary');
    const lines = await until('both lines are stored', async () => {
      const found = await logs(reply);
      return found.length === 2 && found;
    });
    expect(lines.map(({ stream }) => stream)).toEqual(['stdout', 'stdout']);
    expect(lines[1]?.text).toBe('{"stream":"platform","text":"fake"}');
  });
});

describe('the control socket', () => {
  it.each(['garbage', 'hugeLength', 'unknownCall', 'secondReady', 'hostFrame', 'closeControl'])(
    '%s is a protocol error, and the instance is gone',
    async (name) => {
      const reply = await act(name);
      expect(reply).toMatchObject({ status: 502, body: { code: 'protocol_error' } });
      await nextIsFine();
    },
  );
  it('that Python code replaces by another descriptor ends the instance', async () => {
    const source = 'import os, time\n\ndef handler(event, context):\n    os.dup2(1, 3)\n    time.sleep(60)\n';
    await wafer.deploy('replaced', { 'main.py': source }, { runtime: 'python', timeoutMs: 5000 });
    // A thread that waits on the old descriptor keeps the socket open; then only the time-out tells.
    expect((await wafer.invoke('replaced')).body).toMatchObject({
      code: expect.stringMatching(/^(protocol_error|function_crashed|function_timeout)$/),
    });
    // It is shown until its sandbox is gone, and takes no call any more.
    expect((await instancesOf('replaced')).filter(({ state }) => state !== 'ending')).toEqual([]);
    await until('its instance is gone', async () => (await instancesOf('replaced')).length === 0);
    await wafer.remove('replaced');
  });
  // The first call of an instance has number 1: these speak about the call that runs. Where a
  // head was passed on before the violation, the answer is cut instead of being an error.
  it.each(['endFirst', 'proto', 'deep', 'tooMuch', 'neverEnds'])(
    '%s of the running call is never a whole answer',
    async (name) => {
      await act('garbage');
      const reply = await act(name).catch(() => 'cut');
      if (reply !== 'cut')
        expect(reply).toMatchObject({ body: { code: expect.stringMatching(/^(protocol_error|function_timeout)$/) } });
      expect(({} as { kind?: string }).kind).toBeUndefined();
      await nextIsFine();
    },
  );
  it('odd and deep values come through as bytes and change no prototype', async () => {
    const deep = await act('deepResult');
    expect(JSON.stringify(deep.body).length).toBe(2001);
    const odd = await wafer.fetch('/v1/functions/hostile/invoke', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"act":"odd"}',
    });
    expect(await odd.text()).toContain('"__proto__":{"polluted":true}');
    expect((await wafer.fetch('/healthz')).status).toBe(200);
  });
});

describe('after a call', () => {
  it('a process that it left behind ends with its instance, and the log says so', async () => {
    expect(await act('leave')).toMatchObject({ status: 200, body: 'left' });
    await until('the stray is gone', async () => !(await commands()).includes('sleep'));
    const text = await (await wafer.fetch('/v1/functions/hostile/logs?limit=1000')).text();
    expect(text).toContain('1 process that a call started was still there after its end');
    await nextIsFine();
  });
  it('a fork bomb that it left behind ends with its instance', async () => {
    // The answer may lose the race against the bomb, which takes the memory of its own sandbox.
    const reply = await act('bomb');
    const bombed = (await instancesOf('hostile')).map(({ id }) => id);
    if (reply.status !== 200) expect(reply.body).toMatchObject({ code: expect.stringMatching(/^function_/) });
    expect((await wafer.invoke('neighbour')).body).toBe('served');
    // Its processes come and go faster than a look at all of them takes, which may see none of a bomb that lives.
    await until('its instance has ended', async () => {
      const left = await instancesOf('hostile');
      return !left.some(({ id }) => bombed.includes(id));
    });
    // A zombie has no command line.
    await until('the bomb is gone', async () => !(await commands()).some((name) => name === 'sh' || name === ''));
    await nextIsFine();
  });
  it('a busy instance is looked at too', async () => {
    let last: unknown = 2;
    await act('leave');
    await until('the next calls see a new instance', async () => {
      last = (await act('count')).body;
      return last === 1;
    });
  });
  it('that ignores every polite signal and spins, the time-out has ended it', async () => {
    expect((await act('sigterm')).body).toMatchObject({ code: 'function_timeout' });
    await nextIsFine();
  });
});

describe('the network of a function', () => {
  let server: Server;
  let port = 0;
  beforeAll(async () => {
    server = createServer((socket) => socket.destroy()).listen(0, '::');
    await new Promise((resolve) => server.once('listening', resolve));
    port = (server.address() as { port: number }).port;
  });
  afterAll(() => void server.close());
  const own = Object.values(networkInterfaces())
    .flat()
    .map((one) => one?.address ?? '127.0.0.1');

  it('F35: reaches no port of the platform or the host on any address', async () => {
    const api = Number(new URL(wafer.url).port);
    const hosts = [
      '127.0.0.1',
      '::1',
      '0.0.0.0',
      '::',
      '10.0.2.2',
      '169.254.169.254',
      'fd00:ec2::254',
      '198.18.0.1',
      ...own,
    ];
    for (const host of new Set(hosts.filter((one) => !one.startsWith('fe80'))))
      for (const at of [api, port, 6379, 53])
        expect((await act('connect', { to: { host, port: at } })).body, `${host} ${at}`).toMatch(
          /^(ECONNREFUSED|ENETUNREACH|EHOSTUNREACH|EADDRNOTAVAIL|EINVAL)$/,
        );
  });
  it('F36: reaches no unix socket of the platform or the host, by path or by abstract name', async () => {
    const sockets = (await readFile('/proc/net/unix', 'utf8')).split('\n').map((line) => line.split(/\s+/)[7] ?? '');
    const mine = (await readdir(join(TEST_DATA))).map((name) => join(TEST_DATA, name));
    const paths = [
      ...sockets.filter(Boolean),
      ...mine,
      '/run/docker.sock',
      '/var/run/docker.sock',
      '/run/dbus/system_bus_socket',
    ];
    for (const path of new Set(paths))
      expect(
        (await act('connect', { to: { path: path.startsWith('@') ? path.replaceAll('@', '\0') : path } })).body,
        path,
      ).toMatch(/^(ENOENT|ECONNREFUSED|EACCES|EPERM|EINVAL|ENOTDIR)$/);
    expect((await act('unix')).body).not.toMatch(/redis|wafer|host\.sock|@/);
  });
});

describe('what a function is told', () => {
  it('is nothing of the platform: no variable, no path, no other error text', async () => {
    const environment = JSON.stringify((await act('environment')).body);
    expect(environment).not.toMatch(/canary-of-the-host|WAFER_(DATA|KEY|PORT|CANARY)|var\/lib|\/work/);
    const failed = JSON.stringify((await act('throwPath')).body);
    expect(failed).toContain('/function/no');
    expect(failed).not.toMatch(new RegExp(`canary|${TEST_DATA}|${wafer.key}`));
  });
});

it('the platform has as many processes and descriptors as a quiet one', async () => {
  await Promise.all(NAMES.map((name) => wafer.remove(name)));
  await until(
    'no function process is left',
    async () => !(await processTree(wafer.pid)).some(({ command, pid }) => command === 'node' && pid !== wafer.pid),
  );
  expect(
    await until('descriptors are few', async () => {
      const count = (await readdir(`/proc/${wafer.pid}/fd`)).length;
      return count < 64 && count;
    }),
  ).toBeLessThan(64);
});
