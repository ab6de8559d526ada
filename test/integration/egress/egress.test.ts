import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, connect as netConnect, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { connectDirect } from '../../../runtime/sandbox/egress/dial.ts';
import {
  createEgress,
  type Egress,
  type EgressOptions,
  type EgressVerdict,
} from '../../../runtime/sandbox/egress/index.ts';
import type { EgressAccount, EgressPolicy } from '../../../runtime/sandbox/types.ts';

/** The relay's role: unix connections that are handed to the egress, paused and half-open, as the host socket does. */
interface World {
  egress: Egress;
  verdicts: EgressVerdict[];
  verdict(): Promise<EgressVerdict>;
  tcp(address: string, port: number): Promise<Socket>;
  lookUp(name: string): Promise<string | number>;
}

let directory: string;
const cleanups: (() => unknown)[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'wafer-egress-'));
});

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  await rm(directory, { recursive: true, force: true });
});

const listening = (server: Server, where: string | number): Promise<number> =>
  new Promise((resolve, reject) => {
    const open = new Set<Socket>();
    server.on('connection', (socket) => {
      open.add(socket);
      socket.on('error', () => {});
    });
    cleanups.push(() => {
      for (const socket of open) socket.destroy();
      return new Promise((done) => server.close(done));
    });
    server.once('error', reject);
    const ready = () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : 0);
    };
    if (typeof where === 'number') server.listen(where, '127.0.0.1', ready);
    else server.listen(where, ready);
  });

async function openWorld(
  policy: EgressPolicy,
  { account, ...options }: Partial<EgressOptions> & { account?: EgressAccount } = {},
): Promise<World> {
  const verdicts: EgressVerdict[] = [];
  const waiting: ((verdict: EgressVerdict) => void)[] = [];
  const egress = createEgress({
    ...options,
    onVerdict: (verdict) => {
      const waiter = waiting.shift();
      if (waiter === undefined) verdicts.push(verdict);
      else waiter(verdict);
    },
  });
  egress.register('box', policy, { account });
  cleanups.push(() => egress.unregister('box'));
  const path = join(directory, 'host');
  const arrivals: ((socket: Socket) => void)[] = [];
  await listening(
    createServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket) => arrivals.shift()?.(socket)),
    path,
  );
  const dialIn = (take: (socket: Socket) => void): Promise<Socket> =>
    new Promise((resolve) => {
      const socket = netConnect({ path, allowHalfOpen: true });
      socket.on('error', () => {});
      cleanups.push(() => socket.destroy());
      arrivals.push((arrived) => {
        take(arrived);
        resolve(socket);
      });
    });
  return {
    egress,
    verdicts,
    verdict: () => {
      const ready = verdicts.shift();
      return ready === undefined ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(ready);
    },
    tcp: (address, port) => dialIn((socket) => egress.handleTcp('box', address, port, socket)),
    async lookUp(name) {
      const socket = await dialIn((arrived) => egress.handleDns('box', arrived));
      socket.write(dnsFrame(name));
      const reply: Buffer = await new Promise((resolve) => socket.once('data', resolve));
      socket.destroy();
      return reply.readUInt16BE(12) === 1 ? [...reply.subarray(-4)].join('.') : (reply[9] ?? 0) & 15;
    },
  };
}

function dnsFrame(name: string): Buffer {
  const labels = name.split('.').flatMap((label) => [label.length, ...Buffer.from(label)]);
  const message = Buffer.from([0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...labels, 0, 0, 1, 0, 1]);
  return Buffer.concat([Buffer.from([0, 0, 0, 1, 0, message.length]), message]);
}

/** Everything the socket gives until it ends; `ended` is false when it was cut. */
async function readAll(socket: Socket): Promise<{ text: string; ended: boolean }> {
  let text = '';
  let ended = false;
  socket.on('data', (chunk) => {
    text += chunk;
  });
  socket.once('end', () => {
    ended = true;
  });
  await new Promise((resolve) => {
    socket.once('close', resolve);
    socket.once('end', () => socket.destroy());
  });
  return { text, ended };
}

const echoServer = () => createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket));
const allow = (host: string, port: number | '*', trustResolved = false): EgressPolicy => ({
  mode: 'list',
  allow: [{ host, port, trustResolved }],
});

describe('the name server of a sandbox', () => {
  test('answers over TCP as it does over UDP, several questions on one connection, and no other port', async () => {
    const world = await openWorld(allow('registry.test', 443));
    const socket = await world.tcp('198.18.0.1', 53);
    const framed = (name: string) => dnsFrame(name).subarray(4);
    const [first, second] = [framed('registry.test'), framed('other.test')];
    socket.write(Buffer.concat([first, second.subarray(0, 5)]));
    socket.end(second.subarray(5));
    const chunks: Buffer[] = [];
    for await (const chunk of socket) chunks.push(chunk as Buffer);
    const answers = Buffer.concat(chunks);
    const size = answers.readUInt16BE(0);
    expect([...answers.subarray(2 + size - 4, 2 + size)].join('.')).toBe('198.18.1.0');
    expect((answers[2 + size + 5] ?? 0) & 15).toBe(3); // no such name
    expect(answers.length).toBe(2 + size + 2 + answers.readUInt16BE(2 + size));
    expect(await world.verdict()).toMatchObject({ host: 'other.test', verdict: 'denied' });
    expect(await readAll(await world.tcp('198.18.0.1', 54))).toMatchObject({ text: '' });
    expect(await world.verdict()).toMatchObject({ port: 54, verdict: 'denied' });
  });

  test('has one rate for all connections of a sandbox', async () => {
    const world = await openWorld({ mode: 'public' }, { now: () => 0 });
    const ask = async (count: number) => {
      const socket = await world.tcp('198.18.0.1', 53);
      socket.end(Buffer.concat(Array.from({ length: count }, () => dnsFrame('a.test').subarray(4))));
      const chunks: Buffer[] = [];
      for await (const chunk of socket) chunks.push(chunk as Buffer);
      return chunks.length === 0 ? -1 : (Buffer.concat(chunks)[5] ?? 0) & 15;
    };
    expect(await ask(400)).toBe(0);
    expect(await ask(1)).toBe(5); // refused
  });
});

describe('a connection by name', () => {
  test('reaches what the name resolves to, and leaves a verdict with its bytes', async () => {
    const port = await listening(echoServer(), 0);
    const world = await openWorld(allow('registry.test', port, true), { resolve: async () => ['127.0.0.1'] });
    const address = await world.lookUp('Registry.Test');
    expect(address).toBe('198.18.1.0');
    const socket = await world.tcp(String(address), port);
    socket.end('hello');
    expect(await readAll(socket)).toEqual({ text: 'hello', ended: true });
    expect(await world.verdict()).toEqual({
      sandboxId: 'box',
      durationMs: expect.any(Number),
      host: 'registry.test',
      address: '127.0.0.1',
      port,
      verdict: 'allowed',
      reason: 'trusted rule',
      bytesUp: 5,
      bytesDown: 5,
    });
  });

  test('on another port, or to an address that was never given out, is cut', async () => {
    const world = await openWorld(allow('registry.test', 443, true), { resolve: async () => ['127.0.0.1'] });
    const address = String(await world.lookUp('registry.test'));
    expect(await readAll(await world.tcp(address, 6379))).toMatchObject({ text: '' });
    expect(await world.verdict()).toMatchObject({
      verdict: 'denied',
      host: 'registry.test',
      reason: 'no rule allows the name on this port',
    });
    await readAll(await world.tcp('198.19.7.7', 443));
    expect(await world.verdict()).toMatchObject({
      verdict: 'denied',
      reason: 'the address was not given out to this sandbox',
    });
  });

  test('is denied when the name leads to a private address', async () => {
    const port = await listening(echoServer(), 0);
    for (const target of [
      '127.0.0.1',
      '10.0.0.1',
      '169.254.169.254',
      '::ffff:127.0.0.1',
      '::1',
      'fd00::1',
      '64:ff9b::7f00:1',
    ]) {
      const world = await openWorldOnce({ mode: 'public' }, async () => [target]);
      await readAll(await world.tcp(String(await world.lookUp('evil.test')), port));
      expect(await world.verdict()).toMatchObject({ verdict: 'denied', host: 'evil.test', address: null });
    }
  });

  test('never uses the private one of several addresses', async () => {
    const tried: string[] = [];
    const world = await openWorld(
      { mode: 'public' },
      {
        resolve: async () => ['127.0.0.1', '8.8.4.4', '10.0.0.1'],
        connect: (address, port) => {
          tried.push(address);
          return connectDirect('127.0.0.1', port);
        },
      },
    );
    const port = await listening(echoServer(), 0);
    const socket = await world.tcp(String(await world.lookUp('mixed.test')), port);
    socket.end('x');
    await readAll(socket);
    expect(await world.verdict()).toMatchObject({ verdict: 'allowed', address: '8.8.4.4' });
    expect(tried).toEqual(['8.8.4.4']);
  });

  test('can not be rebound: the checked answer is the one that is used, and each connection is checked', async () => {
    const answers = [['8.8.4.4'], ['127.0.0.1']];
    const tried: string[] = [];
    let lookups = 0;
    const port = await listening(echoServer(), 0);
    const world = await openWorld(
      { mode: 'public' },
      {
        resolve: async () => answers[lookups++] ?? [],
        connect: (address) => {
          tried.push(address);
          return connectDirect('127.0.0.1', port);
        },
      },
    );
    const address = String(await world.lookUp('rebind.test'));
    expect(lookups).toBe(0);
    const first = await world.tcp(address, port);
    first.end('x');
    expect(await readAll(first)).toMatchObject({ text: 'x' });
    expect([lookups, await world.verdict()]).toMatchObject([1, { verdict: 'allowed', address: '8.8.4.4' }]);
    await readAll(await world.tcp(address, port));
    expect([lookups, await world.verdict()]).toMatchObject([
      2,
      { verdict: 'denied', reason: 'the address is not public (loopback)' },
    ]);
    expect(tried).toEqual(['8.8.4.4']);
  });

  test('tries the next address when one refuses', async () => {
    const port = await listening(echoServer(), 0);
    const world = await openWorld(allow('two.test', port, true), { resolve: async () => ['127.0.0.2', '127.0.0.1'] });
    const socket = await world.tcp(String(await world.lookUp('two.test')), port);
    socket.end('x');
    await readAll(socket);
    expect(await world.verdict()).toMatchObject({ verdict: 'allowed', address: '127.0.0.1' });
  });

  test('that can not be looked up or connected fails with the reason', async () => {
    const free = createServer();
    const port = await new Promise<number>((resolve) => {
      free.listen(0, '127.0.0.1', () => resolve((free.address() as { port: number }).port));
    });
    await new Promise((resolve) => free.close(resolve));
    const world = await openWorld(
      { mode: 'list', allow: [{ host: '*.test', port: '*', trustResolved: true }] },
      {
        resolve: async (name) => {
          if (name === 'missing.test') throw new Error('queryA ENOTFOUND missing.test');
          return ['127.0.0.1'];
        },
      },
    );
    expect(await readAll(await world.tcp(String(await world.lookUp('missing.test')), port))).toMatchObject({
      text: '',
    });
    expect(await world.verdict()).toMatchObject({ verdict: 'failed', reason: 'queryA ENOTFOUND missing.test' });
    await readAll(await world.tcp(String(await world.lookUp('closed.test')), port));
    expect((await world.verdict()).reason).toMatch(/ECONNREFUSED/);
  });

  test('host.wafer.internal is this machine, for trusted rules alone', async () => {
    const port = await listening(echoServer(), 0);
    const trusted = await openWorldOnce(allow('host.wafer.internal', port, true));
    const socket = await trusted.tcp(String(await trusted.lookUp('host.wafer.internal')), port);
    socket.end('x');
    expect(await readAll(socket)).toEqual({ text: 'x', ended: true });
    for (const policy of [allow('host.wafer.internal', port), { mode: 'public' } satisfies EgressPolicy]) {
      const world = await openWorldOnce(policy);
      await readAll(await world.tcp(String(await world.lookUp('host.wafer.internal')), port));
      expect(await world.verdict()).toMatchObject({ verdict: 'denied' });
    }
  });
});

describe('a connection by address', () => {
  test.each([
    '127.0.0.1',
    '10.0.0.1',
    '169.254.169.254',
    '192.168.1.1',
    '::1',
    '::ffff:127.0.0.1',
    'fe80::1',
    '2002:7f00:1::',
    '0.0.0.0',
    'not-an-address',
  ])('public refuses %s', async (address) => {
    const port = await listening(echoServer(), 0);
    const world = await openWorld({ mode: 'public' });
    expect(await readAll(await world.tcp(address, port))).toMatchObject({ text: '' });
    expect(await world.verdict()).toMatchObject({ verdict: 'denied', address, port });
  });

  test('a rule for that address and port lets it through', async () => {
    const port = await listening(echoServer(), 0);
    const world = await openWorld(allow('127.0.0.1', port));
    const socket = await world.tcp('127.0.0.1', port);
    socket.end('x');
    expect(await readAll(socket)).toEqual({ text: 'x', ended: true });
    await readAll(await world.tcp('127.0.0.1', port === 1 ? 2 : 1));
    expect([(await world.verdict()).verdict, (await world.verdict()).verdict]).toEqual(['allowed', 'denied']);
  });
});

describe('a tunnel', () => {
  test('carries much data both ways, whole', async () => {
    const port = await listening(echoServer(), 0);
    const world = await openWorld(allow('127.0.0.1', port));
    const socket = await world.tcp('127.0.0.1', port);
    const sent = 'wafer'.repeat(1_000_000);
    socket.end(sent);
    const { text, ended } = await readAll(socket);
    expect([text.length, text === sent, ended]).toEqual([sent.length, true, true]);
    expect(await world.verdict()).toMatchObject({ bytesUp: sent.length, bytesDown: sent.length });
  });

  test('keeps half-closed connections: the server may end first', async () => {
    let hear: (text: string) => void = () => {};
    const heard = new Promise<string>((resolve) => {
      hear = resolve;
    });
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      let text = '';
      socket.end('bye');
      socket.on('data', (chunk) => {
        text += chunk;
      });
      socket.on('end', () => hear(text));
    });
    const port = await listening(server, 0);
    const world = await openWorld(allow('127.0.0.1', port));
    const socket = await world.tcp('127.0.0.1', port);
    await new Promise((resolve) => socket.once('end', resolve).resume());
    socket.end('still here');
    expect(await world.verdict()).toMatchObject({ verdict: 'allowed', bytesUp: 10, bytesDown: 3 });
    expect(await heard).toBe('still here');
  });

  test('that the server resets is cut inside, without an orderly end', async () => {
    const server = createServer((socket) => {
      socket.once('data', () => socket.resetAndDestroy());
    });
    const port = await listening(server, 0);
    const world = await openWorld(allow('127.0.0.1', port));
    const socket = await world.tcp('127.0.0.1', port);
    socket.write('x');
    await readAll(socket);
    expect(await world.verdict()).toMatchObject({ verdict: 'failed', reason: expect.stringMatching(/ECONNRESET/) });
  });

  test('that the sandbox drops is closed outside', async () => {
    let closed: () => void = () => {};
    const outside = new Promise<void>((resolve) => {
      closed = resolve;
    });
    const server = createServer((socket) => {
      socket.write('x');
      socket.once('close', () => closed());
    });
    const port = await listening(server, 0);
    const world = await openWorld(allow('127.0.0.1', port));
    const socket = await world.tcp('127.0.0.1', port);
    await new Promise((resolve) => socket.once('data', resolve));
    socket.destroy();
    await outside;
    expect(await world.verdict()).toMatchObject({ address: '127.0.0.1', bytesDown: 1 });
  });
});

describe('the account of a sandbox', () => {
  const counted = (more: Partial<EgressAccount>) => {
    const seen = { open: 0, bytes: 0, records: [] as string[] };
    const account: EgressAccount = {
      open() {
        seen.open++;
        return null;
      },
      carry(bytes) {
        seen.bytes += bytes;
        return null;
      },
      close: () => void seen.open--,
      record: ({ verdict, reason }) => seen.records.push(`${verdict}: ${reason}`),
      ...more,
    };
    return { account, seen };
  };

  test('is told of every connection, of its bytes both ways, and of its end', async () => {
    const port = await listening(echoServer(), 0);
    const { account, seen } = counted({});
    const world = await openWorld(allow('127.0.0.1', port), { account });
    const socket = await world.tcp('127.0.0.1', port);
    socket.end('hello');
    await readAll(socket);
    await world.verdict();
    expect(seen).toEqual({ open: 0, bytes: 10, records: ['allowed: address rule'] });
  });

  test('that is against it has the connection refused before anything is connected', async () => {
    let connections = 0;
    const port = await listening(
      createServer(() => connections++),
      0,
    );
    const { account, seen } = counted({ open: () => 'too many' });
    const world = await openWorld(allow('127.0.0.1', port), { account });
    expect(await readAll(await world.tcp('127.0.0.1', port))).toMatchObject({ text: '' });
    expect(await world.verdict()).toMatchObject({ verdict: 'denied', reason: 'too many' });
    expect([connections, seen.open]).toEqual([0, 0]);
  });

  test('ends a connection that has had its bytes', async () => {
    const port = await listening(echoServer(), 0);
    let left = 100_000;
    const { account, seen } = counted({
      carry(bytes) {
        left -= bytes;
        return left > 0 ? null : 'used up';
      },
    });
    const world = await openWorld(allow('127.0.0.1', port), { account });
    const socket = await world.tcp('127.0.0.1', port);
    socket.write('x'.repeat(10_000_000));
    expect((await readAll(socket)).ended).toBe(false);
    expect(await world.verdict()).toMatchObject({ verdict: 'failed', reason: 'used up' });
    expect(seen.open).toBe(0);
  });

  test('is not asked about a connection that the policy is against, but told of it', async () => {
    const { account, seen } = counted({ open: () => 'never' });
    const world = await openWorld({ mode: 'public' }, { account });
    await readAll(await world.tcp('10.0.0.1', 80));
    await world.verdict();
    expect(seen.records).toEqual(['denied: the address is not public (private)']);
  });
});

describe('a policy within a ceiling', () => {
  test('allows what both allow, and says which of the two is against it', async () => {
    const port = await listening(echoServer(), 0);
    const both = (host: string, within: EgressPolicy): EgressPolicy => ({ ...allow(host, port), within });
    const world = await openWorld(both('127.0.0.1', allow('127.0.0.0/16', port)));
    const socket = await world.tcp('127.0.0.1', port);
    socket.end('x');
    expect(await readAll(socket)).toMatchObject({ text: 'x' });
    world.egress.register('box', both('127.0.0.1', { mode: 'public' }));
    await readAll(await world.tcp('127.0.0.1', port));
    world.egress.register('box', both('*.test', { mode: 'list', allow: [{ host: 'a.test', port: 1 }] }));
    await readAll(await world.tcp(String(await world.lookUp('a.test')), port));
    expect(await world.lookUp('b.test')).toBe(3);
    const reasons = [await world.verdict(), await world.verdict(), await world.verdict(), await world.verdict()].map(
      ({ reason }) => reason,
    );
    expect(reasons).toEqual([
      'address rule',
      'it is above the ceiling of the namespace: the address is not public (loopback)',
      'it is above the ceiling of the namespace: no rule allows the name on this port',
      'no rule allows the name',
    ]);
  });

  test('trusts a name that both trust', async () => {
    const port = await listening(echoServer(), 0);
    const resolve = async () => ['127.0.0.1'];
    const trusted = { mode: 'list' as const, allow: [{ host: 'db.test', port, trustResolved: true }] };
    const reach = async (within: EgressPolicy) => {
      const world = await openWorldOnce({ ...trusted, within }, resolve);
      const socket = await world.tcp(String(await world.lookUp('db.test')), port);
      socket.end('x');
      await readAll(socket);
      return (await world.verdict()).verdict;
    };
    expect(await reach(trusted)).toBe('allowed');
    expect(await reach({ mode: 'public' })).toBe('denied');
    expect(await reach(allow('db.test', port))).toBe('denied');
  });
});

describe('the life of a sandbox', () => {
  test('has 256 connections at once, those to its name server among them, and room again when one ends', async () => {
    const port = await listening(echoServer(), 0);
    const world = await openWorld(allow('127.0.0.1', port));
    const say = async (socket: Socket, bytes: string | Buffer) => {
      socket.write(bytes);
      const answered = new Promise((resolve) => socket.once('data', () => resolve('answered')));
      return Promise.race([answered, new Promise((resolve) => socket.once('close', () => resolve('cut')))]);
    };
    const question = dnsFrame('127.test').subarray(4);
    const ask = async () => say(await world.tcp('198.18.0.1', 53), question);
    const open: Socket[] = [];
    expect(await ask()).toBe('answered');
    while (open.length < 255) {
      const socket = await world.tcp('127.0.0.1', port);
      expect(await say(socket, 'x')).toBe('answered');
      open.push(socket);
    }
    world.verdicts.length = 0; // of the name
    expect(await say(await world.tcp('127.0.0.1', port), 'x')).toBe('cut');
    expect(await world.verdict()).toMatchObject({ verdict: 'denied', reason: 'more than 256 connections' });
    expect(await ask()).toBe('cut');
    open.pop()?.end();
    expect(await world.verdict()).toMatchObject({ verdict: 'allowed' });
    expect(await say(await world.tcp('127.0.0.1', port), 'x')).toBe('answered');
  });

  test('unregister cuts its connections', async () => {
    const port = await listening(echoServer(), 0);
    const world = await openWorld(allow('127.0.0.1', port));
    const socket = await world.tcp('127.0.0.1', port);
    socket.write('x');
    await new Promise((resolve) => socket.once('data', resolve));
    world.egress.unregister('box');
    await readAll(socket);
    await world.verdict();
  });

  test('connections and queries of unknown sandboxes are cut', async () => {
    const world = await openWorld({ mode: 'none' });
    world.egress.unregister('box');
    expect(await readAll(await world.tcp('8.8.8.8', 53))).toMatchObject({ text: '' });
    expect(world.verdicts).toEqual([]);
  });

  test('one sandbox does not see the names of another', async () => {
    const world = await openWorld({ mode: 'public' }, { resolve: async () => ['127.0.0.1'] });
    const address = String(await world.lookUp('a.test'));
    world.egress.register('box', { mode: 'public' });
    await readAll(await world.tcp(address, 443));
    expect(await world.verdict()).toMatchObject({
      host: null,
      reason: 'the address was not given out to this sandbox',
    });
  });

  test('a refused name leaves one verdict', async () => {
    const world = await openWorld(allow('a.test', 443));
    expect(await world.lookUp('b.test')).toBe(3);
    expect(await world.lookUp('b.test')).toBe(3);
    expect(world.verdicts).toEqual([expect.objectContaining({ host: 'b.test', port: 0, verdict: 'denied' })]);
  });
});

/** For several worlds in one test: each has its own socket path. */
async function openWorldOnce(policy: EgressPolicy, resolve?: EgressOptions['resolve']): Promise<World> {
  directory = await mkdtemp(join(tmpdir(), 'wafer-egress-'));
  const mine = directory;
  cleanups.unshift(() => rm(mine, { recursive: true, force: true }));
  return openWorld(policy, resolve === undefined ? {} : { resolve });
}
