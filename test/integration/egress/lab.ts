/** Worlds of one sandbox and its egress, for the tests of this folder. */
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, connect as netConnect, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import {
  createEgress,
  type Egress,
  type EgressOptions,
  type EgressVerdict,
} from '../../../runtime/sandbox/egress/index.ts';
import type { EgressAccount, EgressPolicy } from '../../../runtime/sandbox/types.ts';

/** The relay's role: unix connections that are handed to the egress, paused and half-open, as the host socket does. */
export interface World {
  egress: Egress;
  verdicts: EgressVerdict[];
  verdict(): Promise<EgressVerdict>;
  tcp(address: string, port: number): Promise<Socket>;
  lookUp(name: string): Promise<string | number>;
}

let directory: string;
const cleanups: (() => unknown)[] = [];

/** Called by each file of tests: what a test opened ends with it. */
export function closeAfterEach(): void {
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'wafer-egress-'));
  });
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
    await rm(directory, { recursive: true, force: true });
  });
}

export const listening = (server: Server, where: string | number): Promise<number> =>
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

export async function openWorld(
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

export function dnsFrame(name: string): Buffer {
  const labels = name.split('.').flatMap((label) => [label.length, ...Buffer.from(label)]);
  const message = Buffer.from([0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...labels, 0, 0, 1, 0, 1]);
  return Buffer.concat([Buffer.from([0, 0, 0, 1, 0, message.length]), message]);
}

/** Everything the socket gives until it ends; `ended` is false when it was cut. */
export async function readAll(socket: Socket): Promise<{ text: string; ended: boolean }> {
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

export const echoServer = () => createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket));
export const allow = (host: string, port: number | '*', trustResolved = false): EgressPolicy => ({
  mode: 'list',
  allow: [{ host, port, trustResolved }],
});

/** For several worlds in one test: each has its own socket path. */
export async function openWorldOnce(policy: EgressPolicy, resolve?: EgressOptions['resolve']): Promise<World> {
  directory = await mkdtemp(join(tmpdir(), 'wafer-egress-'));
  const mine = directory;
  cleanups.unshift(() => rm(mine, { recursive: true, force: true }));
  return openWorld(policy, resolve === undefined ? {} : { resolve });
}
