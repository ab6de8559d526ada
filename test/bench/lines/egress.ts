/** The way out of a function beside the same code in a process of this machine: connections, bytes, and first calls. */
import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { until } from '../../helpers/until.ts';
import { nodeCode, PREFIX, readLive, SMALL } from '../functions.ts';
import { atMost, compare } from '../rows.ts';
import type { BenchContext, Line, Row } from '../types.ts';

/** `n` connections one after another, each with a byte both ways; then one that gives `bytes`. Milliseconds of each. */
const PROBE = `
import { connect } from 'node:net';
const once = (host, port) => new Promise((resolve, reject) => {
  const began = performance.now();
  const socket = connect({ host, port }, () => socket.write('1'));
  socket.setNoDelay(true).on('error', reject).once('data', () => { resolve(performance.now() - began); socket.destroy(); });
});
const much = (host, port, bytes) => new Promise((resolve, reject) => {
  const began = performance.now();
  let left = bytes;
  const socket = connect({ host, port }, () => socket.write(bytes + '\\n'));
  socket.on('error', reject).on('data', (chunk) => {
    left -= chunk.length;
    if (left > 0) return;
    resolve(performance.now() - began);
    socket.destroy();
  });
});
export const handler = async ({ host, ports, n, bytes }) => {
  const times = [];
  for (let i = 0; i < n; i++) times.push(await once(host, ports[0]));
  return { times, ms: bytes === 0 ? 0 : await much(host, ports[1], bytes) };
};
`;

const SERVER = `
const { createServer } = require('node:net');
const chunk = Buffer.alloc(65536);
const echo = createServer((socket) => socket.setNoDelay(true).on('error', () => {}).pipe(socket));
const source = createServer((socket) => socket.on('error', () => {}).once('data', (text) => {
  let left = Number(text);
  const more = () => { while (left > 0) { left -= chunk.length; if (!socket.write(chunk)) return socket.once('drain', more); } };
  more();
}));
echo.listen(0, '127.0.0.1', () => source.listen(0, '127.0.0.1', () => console.log(JSON.stringify([echo, source].map((one) => one.address().port)))));
`;

interface Measured {
  times: number[];
  ms: number;
}

const BYTES = 64 * 1024 * 1024;
const KEPT = 2;
const WITH = { egress: ['api.example.com:443'] };

async function startServer(): Promise<{ ports: number[]; close: () => void }> {
  const child = spawn(process.execPath, ['-e', SERVER], { stdio: ['ignore', 'pipe', 'inherit'] });
  for await (const line of createInterface({ input: child.stdout }))
    return { ports: JSON.parse(line) as number[], close: () => void child.kill() };
  throw new Error('the server of the bench did not start');
}

async function measureTraffic(context: BenchContext): Promise<Row[]> {
  const server = await startServer();
  const allowed = server.ports.map((port) => `host.wafer.internal:${port}`);
  const wafer = await context.platform({ WAFER_EGRESS: allowed.join(',') });
  const file = join(context.dir, 'egress-probe.mjs');
  const name = `${PREFIX}egress`;
  try {
    await writeFile(file, PROBE);
    const probe = (await import(pathToFileURL(file).href)) as { handler: (event: object) => Promise<Measured> };
    await wafer.deploy(name, { 'index.mjs': PROBE }, { memoryMb: 128, egress: allowed });
    // All rounds together ask for fewer names than a sandbox may at once (docs/egress.md).
    const event = { ports: server.ports, n: 15, bytes: BYTES };
    const samples = {
      ours: [] as number[],
      theirs: [] as number[],
      oursMuch: [] as number[],
      theirsMuch: [] as number[],
    };
    for (let round = -1; round < context.count(12, 3); round++) {
      const theirs = await probe.handler({ ...event, host: '127.0.0.1' });
      const { status, body } = await wafer.invoke(name, { ...event, host: 'host.wafer.internal' });
      if (status !== 200) throw new Error(`round ${round}: ${JSON.stringify(body)}`);
      const ours = body as Measured;
      if (round < 0) continue; // compilers and caches
      samples.ours.push(...ours.times);
      samples.theirs.push(...theirs.times);
      samples.oursMuch.push(ours.ms);
      samples.theirsMuch.push(theirs.ms);
    }
    const reference = 'the same code on the host, without Wafer';
    return [
      compare({
        what: 'connection through egress, one byte both ways',
        ours: samples.ours,
        reference: { name: reference, samples: samples.theirs },
        p50: null,
        p99: null,
        notes: [
          'by name: the look-up inside, policy, the real connection, a byte there and back; the server is on this machine',
        ],
      }),
      compare({
        what: '64 MiB through egress, one connection',
        ours: samples.oursMuch,
        reference: { name: reference, samples: samples.theirsMuch },
        p50: null,
        notes: ['loopback: a real network is the slower part of both'],
      }),
    ];
  } finally {
    server.close();
  }
}

async function measureFirst(context: BenchContext): Promise<Row[]> {
  const wafer = await context.platform({ WAFER_BLANKS: String(KEPT) });
  const samples = { with: [] as number[], without: [] as number[] };
  const call = async (name: string, config: object, into: number[], at: number) => {
    await wafer.deploy(name, nodeCode(`${name} ${at}`), { ...SMALL, ...config });
    // Blanks of both kinds: two of each are kept.
    await until('all blanks are ready', async () => {
      const { blanks } = await readLive(wafer);
      const ready = blanks.reduce((sum, one) => sum + one.ready, 0);
      return ready >= KEPT * 2 && blanks.every(({ booting }) => booting === 0);
    });
    const began = performance.now();
    const reply = await wafer.invoke(name, 1);
    if (reply.headers.get('x-wafer-start') === 'blank') into.push(performance.now() - began);
  };
  await wafer.deploy(`${PREFIX}egress-none`, nodeCode('first'), SMALL);
  await wafer.deploy(`${PREFIX}egress-some`, nodeCode('first'), { ...SMALL, ...WITH });
  for (let at = 0; at < context.count(60, 8); at++) {
    await call(`${PREFIX}egress-none`, {}, samples.without, at);
    await call(`${PREFIX}egress-some`, WITH, samples.with, at);
  }
  return [
    compare({
      what: 'first call with egress, blank ready',
      ours: samples.with,
      reference: { name: 'without egress', samples: samples.without },
      p50: atMost(1.3),
      p99: null,
      notes: [`${samples.with.length} and ${samples.without.length} calls that took a blank`],
    }),
  ];
}

export const lines: readonly Line[] = [
  {
    name: 'egress',
    group: 'egress',
    about: 'Connections and bytes of a function with egress, beside the same code on the host',
    measure: measureTraffic,
  },
  {
    name: 'egress-first',
    group: 'egress',
    about: 'First calls of functions with egress and without',
    measure: measureFirst,
  },
];
