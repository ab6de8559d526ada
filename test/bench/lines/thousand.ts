/** 1,000 functions beside 1: calls, and what each keeps of the platform's memory. */
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { dataPaths } from '../../../services/core/config.ts';
import type { TestPlatform } from '../../helpers/platform.ts';
import { processTree } from '../../helpers/processes.ts';
import { TEST_DATA } from '../../helpers/test-data.ts';
import { until } from '../../helpers/until.ts';
import { type Client, openClient } from '../client.ts';
import { EVENT, eachOf, invokePath, nodeCode, PREFIX, poolText, readLive, SMALL, untilQuiet } from '../functions.ts';
import { readHeap } from '../peers/inspector.ts';
import { privateBytes } from '../procfs.ts';
import { createRandom } from '../random.ts';
import { atMost, compare } from '../rows.ts';
import { single } from '../stats.ts';
import type { BenchContext, Line, Row } from '../types.ts';
import { firstCalls, times } from './first-calls.ts';

const SEED = 4;
const KB = 1024;
/** For a look into the heap; costs nothing while nobody looks. */
const INSPECTED = { NODE_OPTIONS: '--inspect=127.0.0.1:0' };

interface Samples {
  cold: number[];
  warm: number[];
}

interface Memory {
  heap: number;
  external: number;
  redis: number;
  /** Of both processes, as the kernel counts. */
  privateBytes: number;
}

async function measure(context: BenchContext): Promise<Row[]> {
  const wafer = await context.platform(INSPECTED);
  const client = openClient(wafer.url, { key: wafer.key });
  const count = context.count(1000, 100);
  try {
    const one: Samples = { cold: [], warm: [] };
    await callOne(context, wafer, client, one);
    // What deploys load and compile once is no function's.
    await deployMany(wafer, count / 10);
    await context.platform(INSPECTED);
    const empty = await readMemory(wafer);
    context.say(`deploying ${count} functions`);
    await deployMany(wafer, count);
    const full = await readMemory(wafer);
    const pool = poolText(await untilQuiet(wafer));
    context.say('calling them');
    const many = await callMany(wafer, client, { count, calls: context.count(800, 100) });
    context.say('removing them');
    await context.platform(INSPECTED);
    await callOne(context, wafer, client, one);
    return [...callRows(one, many, { count, pool }), ...memoryRows(empty, full, count)];
  } finally {
    await client.close();
  }
}

const deployMany = (wafer: TestPlatform, count: number) =>
  eachOf(
    Array.from({ length: count }, (_, number) => number),
    4,
    (number) => wafer.deploy(nameOf(number), nodeCode(number), SMALL),
  );

const nameOf = (number: number) => `${PREFIX}many-${number}`;

/** Before and after, so that a machine that became slower meanwhile does not count for the many. */
async function callOne(context: BenchContext, wafer: TestPlatform, client: Client, into: Samples): Promise<void> {
  const name = `${PREFIX}one`;
  const first = await firstCalls(wafer, client, {
    name,
    rounds: context.count(40, 8),
    expect: 'blank',
    deploy: (round) => wafer.deploy(name, nodeCode(round), SMALL),
    reference: async () => 0,
  });
  into.cold.push(...times(first));
  for (let call = 0; call < context.count(300, 50); call++)
    into.warm.push((await client.post(invokePath(name), EVENT)).ms);
  await wafer.remove(name);
}

interface Many {
  count: number;
  calls: number;
}

/**
 * Zipf's law: the k-th function is called 1/k as often as the first. First calls wait for a blank in between, and a machine
 * that rested is slow to wake up; so warm ones are measured behind them, one right after the other as with one function.
 */
async function callMany(wafer: TestPlatform, client: Client, { count, calls }: Many): Promise<Samples> {
  const { uniform } = createRandom(SEED);
  const sums: number[] = [];
  for (let rank = 1; rank <= count; rank++) sums.push((sums.at(-1) ?? 0) + 1 / rank);
  const draw = () => {
    const point = uniform() * (sums.at(-1) ?? 0);
    return sums.findIndex((sum) => sum > point);
  };
  const samples: Samples = { cold: [], warm: [] };
  const called = new Set<number>();
  const drawn = Array.from({ length: calls }, draw);
  for (const number of drawn) {
    if (called.has(number)) continue;
    await untilBlanks(wafer);
    called.add(number);
    const { ms, start } = await client.post(invokePath(nameOf(number)), EVENT);
    if (start === 'blank') samples.cold.push(ms);
  }
  await untilBlanks(wafer);
  for (const number of drawn) {
    const { ms, start } = await client.post(invokePath(nameOf(number)), EVENT);
    if (start === 'warm') samples.warm.push(ms);
  }
  return samples;
}

const untilBlanks = (wafer: TestPlatform) =>
  until('blanks are ready', async () =>
    (await readLive(wafer)).blanks.every(({ ready, booting }) => ready > 0 && booting === 0),
  );

function callRows(one: Samples, many: Samples, { count, pool }: { count: number; pool: string }): Row[] {
  const notes = [pool, `zipf over ${count} functions, one call at a time; 1 function before and after`];
  const row = (what: string, kind: keyof Samples, limit: number) =>
    compare({
      what: `${what} with ${count} functions deployed`,
      ours: many[kind],
      reference: { name: 'with 1 function', samples: one[kind] },
      p50: atMost(limit),
      notes,
    });
  return [row('first call, a blank ready,', 'cold', 1.5), row('warm call', 'warm', 1.25)];
}

async function readMemory(wafer: TestPlatform): Promise<Memory> {
  const redis = new Redis({ path: join(dataPaths(TEST_DATA).redis, 'redis.sock'), lazyConnect: true });
  try {
    await redis.connect();
    const info = await redis.info('memory');
    const { heapUsed, external } = await readHeap(wafer.output());
    const tree = await processTree(wafer.pid);
    const mine = tree.filter(({ pid, command }) => pid === wafer.pid || command === 'redis-server');
    const held = await Promise.all(mine.map(({ pid }) => privateBytes(pid)));
    return {
      heap: heapUsed,
      external,
      redis: Number(/^used_memory:(\d+)/m.exec(info)?.[1]),
      privateBytes: held.reduce((sum, bytes) => sum + bytes, 0),
    };
  } finally {
    redis.disconnect();
  }
}

function memoryRows(empty: Memory, full: Memory, count: number): Row[] {
  const slope = (key: keyof Memory) => (full[key] - empty[key]) / count / KB;
  const kept = slope('heap') + slope('external') + slope('redis');
  const part = (name: string, key: keyof Memory) => `${name} ${slope(key).toFixed(2)} kB`;
  return [
    {
      what: 'platform memory per deployed, idle function',
      unit: 'kB',
      ours: { ...single(kept), n: count },
      reference: null,
      figures: [{ what: 'kB', value: kept, target: atMost(4) }],
      notes: [
        `slope 0 -> ${count}: ${part('heap after collection', 'heap')}, ${part('outside of it', 'external')}, ${part('Redis', 'redis')}`,
        `as the kernel counts (private, both processes, garbage of the deploys with it): ${slope('privateBytes').toFixed(1)} kB`,
      ],
    },
  ];
}

export const lines: Line[] = [
  { name: 'thousand', group: 'thousand', about: '1,000 functions beside 1: calls and memory', measure },
];
