/**
 * The hostile cases F35 and F37-F39 through the whole platform: what functions do to the way out. It is no proxy that
 * could be talked to, so what is said to one arrives at the server that the connection is for, and nowhere else.
 */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { StoredEgressEntry } from '../../services/core/egress/types.ts';
import { NOT_PUBLIC, withoutBrackets } from '../fixtures/addresses-not-public.ts';
import { processTree } from '../helpers/processes.ts';
import { until } from '../helpers/until.ts';
import { type Cases, openCases } from './cases.ts';

const CODE = `
import dns from 'node:dns/promises';
import fs from 'node:fs';
import net from 'node:net';
import { once } from 'node:events';
const NAME = 'host.wafer.internal';
const open = new Set();
const attempt = (host, port) => new Promise((resolve) => {
  const socket = net.connect({ host, port });
  socket.once('data', () => { open.add(socket); resolve(); });
  socket.on('error', () => {});
  socket.once('close', () => { open.delete(socket); resolve(); });
});
const connects = ({ host, port }) => new Promise((resolve) => {
  const socket = net.connect({ host, port });
  socket.once('data', () => { socket.destroy(); resolve('connected'); });
  socket.on('error', (error) => resolve(error.code));
  socket.once('close', () => resolve('closed'));
});
const listeners = () => ['tcp', 'tcp6'].flatMap((name) => fs.readFileSync('/proc/self/net/' + name, 'utf8').trim().split('\\n').slice(1)
  .map((line) => line.trim().split(/\\s+/)).filter((fields) => fields[3] === '0A').map((fields) => parseInt(fields[1].split(':')[1], 16)));
const acts = {
  // The name service of a sandbox is there from its first question on.
  ok: () => dns.lookup(NAME).then(() => 'ok', () => 'ok'),
  connects: ({ to }) => Promise.all(to.map(connects)),
  // One that says nothing more, then as many as asked for, 50 at a time.
  async tunnels({ port, count }) {
    const { address } = await dns.lookup(NAME);
    const first = net.connect({ host: address, port });
    await once(first, 'data');
    first.write('first\\n');
    await once(first, 'data');
    for (let made = 0; made < count; made += 50) await Promise.all(Array.from({ length: 50 }, () => attempt(address, port)));
    const held = open.size + 1;
    first.write('held ' + held + '\\n');
    await once(first, 'close');
    return held;
  },
  async say({ port, bytes }) {
    const socket = net.connect({ host: NAME, port, allowHalfOpen: true });
    socket.end(Buffer.from(bytes, 'latin1'));
    let text = '';
    for await (const chunk of socket) text += chunk;
    return text;
  },
  // The relay's own ports, by every address that leads to them.
  async itself() {
    const ports = [...new Set(listeners())];
    const { address } = await dns.lookup(NAME);
    const hosts = ['127.0.0.1', '::1', '0.0.0.0', '198.18.0.1', address, NAME];
    const answers = await Promise.all(ports.flatMap((port) => hosts.map((host) => connects({ host, port }))));
    return { ports: ports.length, answers };
  },
  // Questions for one name, all at once over one connection, so that none is lost; the answers by their code.
  async ask({ count }) {
    const message = Buffer.from('000101000001000000000000' + '0161' + '0474657374' + '00' + '0001' + '0001', 'hex'); // A of a.test
    const began = performance.now();
    const socket = net.connect({ host: '198.18.0.1', port: 53, allowHalfOpen: true });
    socket.end(Buffer.concat(Array.from({ length: count }, () => [Buffer.from([0, message.length]), message]).flat()));
    const chunks = [];
    for await (const chunk of socket) chunks.push(chunk);
    const all = Buffer.concat(chunks);
    const codes = {};
    for (let at = 0; at < all.length; at += 2 + all.readUInt16BE(at)) { const code = all[at + 5] & 15; codes[code] = (codes[code] ?? 0) + 1; }
    return { codes, seconds: (performance.now() - began) / 1000 };
  },
  lookUp: () => dns.lookup('a.test').then(({ address }) => address, (error) => error.code),
};
export const handler = (event) => acts[event.act](event);`;

const TUNNELS = ['tunnel-0', 'tunnel-1', 'tunnel-2', 'tunnel-3'];
const TOGETHER = 600;
const OF_ONE = 256;

let cases: Cases;
/** What the functions may connect to, and what is beside it on every address of this machine. */
let server: Server;
let forbidden: Server;
let hits = 0;
const sockets = new Set<Socket>();
/** Most that were open at once. */
let most = 0;
const said = new Map<Socket, string>();
const withText = (start: string) => [...said].filter(([, text]) => text.startsWith(start)).map(([socket]) => socket);
const portOf = (one: Server) => (one.address() as AddressInfo).port;

function serve(socket: Socket): void {
  sockets.add(socket);
  most = Math.max(most, sockets.size);
  said.set(socket, '');
  socket.setEncoding('latin1').on('data', (text: string) => said.set(socket, (said.get(socket) ?? '') + text));
  socket.on('end', () => socket.end());
  socket.on('error', () => {});
  socket.on('close', () => sockets.delete(socket));
  socket.write('hi\n');
}

let began = '';
const logOf = async (name: string) => {
  const text = await (await cases.wafer.fetch(`/v1/egress/log?function=${name}&since=${began}`)).text();
  return text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as StoredEgressEntry]));
};
const openNow = async () => {
  const text = await (await cases.wafer.fetch('/metrics')).text();
  return Number(/^wafer_egress_open (\d+)$/m.exec(text)?.[1]);
};
/** Of the platform and its engine, not of sandboxes and Redis. */
async function residentMb(): Promise<number> {
  const own = (await processTree(cases.wafer.pid)).filter(
    ({ uid, command }) => uid === process.getuid?.() && !command.startsWith('redis'),
  );
  const sizes = await Promise.all(
    own.map(
      async ({ pid }) => /VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, 'utf8').catch(() => ''))?.[1],
    ),
  );
  return sizes.reduce((sum, size) => sum + Number(size ?? 0), 0) / 1024;
}

beforeAll(async () => {
  server = createServer({ allowHalfOpen: true }, serve).listen({ port: 0, host: '127.0.0.1', backlog: 1024 });
  forbidden = createServer((socket) => {
    hits++;
    socket.on('error', () => {});
    socket.end('hi\n');
  }).listen(0, '::');
  await Promise.all([once(server, 'listening'), once(forbidden, 'listening')]);
  const files = { 'index.mjs': CODE };
  const config = { timeoutMs: 600_000, egress: [`host.wafer.internal:${portOf(server)}`] };
  cases = await openCases(
    {
      ...Object.fromEntries(TUNNELS.map((name) => [name, { files, config }])),
      'tunnel-none': { files },
      'tunnel-public': { files, config: { timeoutMs: 120_000, egress: 'public' } },
    },
    {
      WAFER_EGRESS: `public,host.wafer.internal:${portOf(server)}`,
      WAFER_EGRESS_CONNECTIONS: String(TOGETHER),
    },
  );
});
afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  server?.close();
  forbidden?.close();
  await cases?.close();
});
beforeEach(() => {
  began = new Date().toISOString();
  said.clear();
  most = hits = 0;
});
afterEach(async () => {
  for (const socket of sockets) socket.destroy(); // of a case that failed
  await until('no connection is open', async () => (await openNow()) === 0);
  expect(hits).toBe(0);
  expect(
    (await cases.act('tunnel-0', 'connects', { to: [{ host: 'host.wafer.internal', port: portOf(server) }] })).body,
  ).toEqual(['connected']);
  await cases.checkRest();
});

const own = () => Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address));
const at = (hosts: string[], ports: number[]) => hosts.flatMap((host) => ports.map((port) => ({ host, port })));

it('F35: a function without a way out reaches neither the platform, nor a listener beside it, on any address', async () => {
  const hosts = [
    '127.0.0.1',
    '::1',
    '0.0.0.0',
    '::',
    '10.0.2.2',
    '198.18.0.1',
    ...own().filter((one) => !one.startsWith('fe80')),
  ];
  const to = at(
    [...new Set(hosts)],
    [Number(new URL(cases.wafer.url).port), portOf(forbidden), portOf(server), 6379, 5000],
  );
  const answers = (await cases.act('tunnel-none', 'connects', { to })).body as string[];
  expect(answers).toHaveLength(to.length);
  for (const [index, answer] of answers.entries())
    expect(answer, JSON.stringify(to[index])).toMatch(/^(ECONNREFUSED|ENETUNREACH|EHOSTUNREACH|EADDRNOTAVAIL|EINVAL)$/);
  expect((await cases.act('tunnel-none', 'lookUp')).body).toMatch(/^(ENOTFOUND|EAI_AGAIN)$/);
  expect(await logOf('tunnel-none')).toEqual([]);
});

it('F37: with the public internet, no spelling of an address that is not public leads anywhere, and the log says so', async () => {
  // The kernel inside makes 8.8.8.8 of that one, which is public.
  const hosts = NOT_PUBLIC.map(withoutBrackets).filter((host) => host !== '::ffff:8.8.8.8');
  const ports = [portOf(forbidden)];
  const answers = (await cases.act('tunnel-public', 'connects', { to: at([...hosts, ...own()], ports) }))
    .body as string[];
  expect(answers.filter((answer) => answer === 'connected')).toEqual([]);
  const denied = await until('the log has them', async () => {
    const found = (await logOf('tunnel-public')).filter(({ verdict }) => verdict === 'denied');
    return found.length > 10 && found;
  });
  expect(denied.some(({ reason }) => reason.includes('metadata'))).toBe(true);
  expect((await logOf('tunnel-public')).filter(({ verdict }) => verdict === 'allowed')).toEqual([]);
});

describe('F38:', () => {
  it('10,000 idle tunnels are as many as a sandbox may have, and all of them, in bounded memory, and all are freed', async () => {
    const before = await residentMb();
    const event = { port: portOf(server), count: 10_000 / TUNNELS.length };
    const calls = Promise.all(TUNNELS.map((name) => cases.act(name, 'tunnels', event)));
    calls.catch(() => {});
    const firsts = await until('each has one', () => withText('first').length === TUNNELS.length && withText('first'));
    const haveTried = (count: number) =>
      until(`${count} have tried`, () => withText('first\nheld ').length === count, 540_000);
    // One alone comes to its own limit, and then the others, to that of all.
    const [alone, ...others] = firsts;
    alone?.write('go\n');
    await haveTried(1);
    for (const socket of others) socket.write('go\n');
    await haveTried(TUNNELS.length);
    expect((await cases.act('tunnel-none', 'ok')).body).toBe('ok');
    expect(await openNow()).toBeLessThanOrEqual(TOGETHER);
    expect((await residentMb()) - before).toBeLessThan(128);
    expect(most).toBeLessThanOrEqual(TOGETHER);
    expect(most).toBeGreaterThan(OF_ONE);
    for (const socket of sockets) socket.destroy();
    const held = (await calls).map(({ body }) => body as number);
    expect(Math.max(...held)).toBe(OF_ONE);
    expect(held.reduce((sum, one) => sum + one, 0)).toBeLessThanOrEqual(TOGETHER);
    const reasons = await until('the log says why', async () => {
      const entries = (await Promise.all(TUNNELS.map(logOf))).flat();
      const found = entries.filter(({ verdict }) => verdict === 'denied');
      return found.length > 0 && { found, lines: entries.length };
    });
    expect(reasons.found.some(({ reason }) => reason.includes('WAFER_EGRESS_CONNECTIONS'))).toBe(true);
    expect(reasons.lines).toBeLessThan(5_000); // equal ones are one line with a count
  });

  const target = () => `127.0.0.1:${portOf(forbidden)}`;
  const request = (line: string, more = '') => `${line} HTTP/1.1\r\nHost: ${target()}\r\n${more}\r\n`;
  it.each<[string, () => string]>([
    ['CONNECT', () => request(`CONNECT ${target()}`)],
    ['CONNECT to Redis', () => request('CONNECT 127.0.0.1:6379')],
    ['CONNECT to a mail server', () => request('CONNECT 93.184.216.34:25')],
    ['an absolute URI', () => request(`GET http://${target()}/`)],
    ['an absolute URI of itself', () => request(`GET http://host.wafer.internal:${portOf(server)}/`)],
    ['headers for proxies', () => request('GET /', `X-Forwarded-Host: ${target()}\r\nForwarded: host=${target()}\r\n`)],
    [
      'two lengths and a second request behind them',
      () =>
        `${request('POST /', 'Content-Length: 4\r\nTransfer-Encoding: chunked\r\n')}0\r\n\r\n${request(`GET http://${target()}/`)}`,
    ],
    ['the head of a connection of the relay', () => `wafer1 egress other tcp 127.0.0.1 ${portOf(forbidden)}\n`],
    [
      'a second head behind a line',
      () => `\nwafer1 egress other tcp 127.0.0.1 ${portOf(forbidden)}\nGET / HTTP/1.0\r\n\r\n`,
    ],
    [
      'SOCKS 5',
      () =>
        `\x05\x01\x00\x05\x01\x00\x01\x7f\x00\x00\x01${String.fromCharCode(portOf(forbidden) >> 8, portOf(forbidden) & 255)}`,
    ],
    ['the PROXY protocol', () => `PROXY TCP4 127.0.0.1 127.0.0.1 1 ${portOf(forbidden)}\r\n`],
  ])('%s is bytes for the server that it was said to, and leads nowhere else', async (_what, make) => {
    const bytes = make();
    expect((await cases.act('tunnel-1', 'say', { port: portOf(server), bytes })).body).toBe('hi\n');
    expect([...said.values()]).toEqual([bytes]);
    const entries = await until('the log has it', async () => {
      const found = await logOf('tunnel-1');
      return found.length > 0 && found;
    });
    expect(entries.map(({ verdict, host, port, count, bytesUp }) => ({ verdict, host, port, count, bytesUp }))).toEqual(
      [{ verdict: 'allowed', host: 'host.wafer.internal', port: portOf(server), count: 1, bytesUp: bytes.length }],
    );
  });

  it('no other port of a name that is allowed is: not of Redis, of mail, of ssh, and not the one beside it', async () => {
    const to = at(['host.wafer.internal', 'host.wafer.internal.'], [6379, 25, 22, portOf(forbidden), 53]);
    expect((await cases.act('tunnel-1', 'connects', { to })).body).not.toContain('connected');
    expect(
      await until('the log says why', async () => {
        const found = (await logOf('tunnel-1')).filter(
          ({ reason }) => reason === 'no rule allows the name on this port',
        );
        return new Set(found.map(({ port }) => port)).size === 5 && found.map(({ verdict }) => verdict);
      }),
    ).not.toContain('allowed');
  });

  it.each(['tunnel-1', 'tunnel-public'])(
    'the relay is not reached by what it serves, and does not go round: %s',
    async (by) => {
      const { body } = await cases.act(by, 'itself');
      const { ports, answers } = body as { ports: number; answers: string[] };
      expect(ports).toBe(2); // of IPv4 and of IPv6
      expect(answers.filter((answer) => answer === 'connected')).toEqual([]);
      const entries = await until('the log has them', async () => {
        const found = await logOf(by);
        return found.length > 0 && found;
      });
      expect(entries.filter(({ verdict }) => verdict !== 'denied')).toEqual([]);
      expect(entries.reduce((sum, { count }) => sum + count, 0)).toBeLessThanOrEqual(answers.length);
    },
  );
});

it('F39: a flood of questions gets 200 answers a second, 400 at once, and ordinary ones are answered after it', async () => {
  const { body } = await cases.act('tunnel-public', 'ask', { count: 5_000 });
  const { codes, seconds } = body as { codes: Record<string, number>; seconds: number };
  const { 0: answered = 0, 5: refused = 0 } = codes;
  expect(answered + refused).toBe(5_000);
  expect(answered).toBeGreaterThan(0);
  expect(answered).toBeLessThanOrEqual(400 + 200 * seconds);
  await until('names are answered again', async () =>
    /^198\.1[89]\./.test(String((await cases.act('tunnel-public', 'lookUp')).body)),
  );
});
