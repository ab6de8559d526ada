/** Warm calls beside an echo on a bare fastify: one at a time, and over 32 connections. */
import { type Client, openClient } from '../client.ts';
import { EVENT, invokePath, nodeCode, PREFIX, SMALL } from '../functions.ts';
import { startEcho, startHop } from '../peers/bare-fastify.ts';
import { atLeast, atMost, compare } from '../rows.ts';
import { type Summary, summarize } from '../stats.ts';
import type { BenchContext, Line, Row, Target } from '../types.ts';

const ECHO = 'echo on bare fastify, same client';
/** What no platform gets below: HTTP, one process between, and nothing else. */
const FLOOR = 'floor: the same echo through a bare child process';
const BLOCK = 50;
const CONNECTIONS = 32;

async function measureOne(context: BenchContext): Promise<Row[]> {
  const wafer = await context.platform();
  const [echo, hop] = await Promise.all([startEcho(), startHop()]);
  const [ours, theirs, floor] = [openClient(wafer.url, { key: wafer.key }), openClient(echo.url), openClient(hop.url)];
  const name = `${PREFIX}warm`;
  try {
    await wafer.deploy(name, nodeCode('warm'), SMALL);
    const samples = { ours: [] as number[], theirs: [] as number[], floor: [] as number[] };
    const block = async (into: number[], client: Client, path: string) => {
      for (let call = 0; call < BLOCK; call++) into.push((await client.post(path, EVENT)).ms);
    };
    // Compilers of all sides come to rest first.
    for (let round = 0; round < 10; round++) {
      await block([], theirs, '/');
      await block([], floor, '/');
      await block([], ours, invokePath(name));
    }
    for (let round = 0; round < context.count(60, 10); round++) {
      await block(samples.theirs, theirs, '/');
      await block(samples.floor, floor, '/');
      await block(samples.ours, ours, invokePath(name));
    }
    return [
      compare({
        what: 'warm call, one at a time',
        ours: samples.ours,
        reference: { name: ECHO, samples: samples.theirs },
        p50: atMost(2),
        p99: atMost(3),
        notes: [
          `blocks of ${BLOCK} in turn, one connection each`,
          floorText(summarize(samples.floor), summarize(samples.theirs), 'ms'),
        ],
      }),
    ];
  } finally {
    await Promise.all([ours.close(), theirs.close(), floor.close()]);
    await Promise.all([echo.close(), hop.close()]);
  }
}

const floorText = (floor: Summary, echo: Summary, unit: string) =>
  `${FLOOR}, p50 ${floor.p50.toFixed(2)} ${unit} = ${(floor.p50 / echo.p50).toFixed(2)} x echo`;

/** Answers a second: each connection asks again when it was answered. */
async function throughput(client: Client, path: string, seconds: number): Promise<number> {
  const end = performance.now() + seconds * 1000;
  let answers = 0;
  const connection = async () => {
    while (performance.now() < end) {
      await client.post(path, EVENT);
      answers++;
    }
  };
  const began = performance.now();
  await Promise.all(Array.from({ length: CONNECTIONS }, connection));
  return (answers * 1000) / (performance.now() - began);
}

async function measureThroughput(context: BenchContext): Promise<Row[]> {
  const wafer = await context.platform();
  const [echo, hop] = await Promise.all([startEcho(), startHop()]);
  const ours = openClient(wafer.url, { key: wafer.key, connections: CONNECTIONS });
  const theirs = openClient(echo.url, { connections: CONNECTIONS });
  const floor = openClient(hop.url, { connections: CONNECTIONS });
  const kinds = [
    { name: `${PREFIX}shared`, concurrency: 32, target: atLeast(0.5), text: 'one instance ("concurrency": 32)' },
    { name: `${PREFIX}alone`, concurrency: 1, target: null, text: 'an instance for each call at a time (the default)' },
  ];
  const samples = { theirs: [] as number[], floor: [] as number[], ours: kinds.map(() => [] as number[]) };
  try {
    const seconds = context.count(2, 1);
    for (const { name, concurrency } of kinds) {
      await wafer.deploy(name, nodeCode(name), { ...SMALL, concurrency });
      await throughput(ours, invokePath(name), seconds);
    }
    await throughput(theirs, '/', seconds);
    await throughput(floor, '/', seconds);
    for (let round = 0; round < context.count(5, 2); round++) {
      samples.theirs.push(await throughput(theirs, '/', seconds));
      samples.floor.push(await throughput(floor, '/', seconds));
      for (const [at, { name }] of kinds.entries())
        samples.ours[at]?.push(await throughput(ours, invokePath(name), seconds));
    }
    return kinds.map(({ text, target }, at) => toRow(text, target, samples.ours[at] ?? [], samples));
  } finally {
    await Promise.all([ours.close(), theirs.close(), floor.close()]);
    await Promise.all([echo.close(), hop.close()]);
  }
}

type Others = Record<'theirs' | 'floor', number[]>;

function toRow(text: string, target: Target | null, ours: number[], { theirs, floor }: Others): Row {
  const [mine, reference] = [summarize(ours), summarize(theirs)];
  return {
    what: `warm throughput, 32 connections; ${text}`,
    unit: 'calls/s',
    ours: mine,
    reference: { name: ECHO, ...reference },
    figures: [{ what: 'p50 ratio', value: mine.p50 / reference.p50, target }],
    notes: ['closed loop; the client runs on the same cores', floorText(summarize(floor), reference, 'calls/s')],
  };
}

export const lines: Line[] = [
  { name: 'warm', group: 'warm', about: 'warm calls, one at a time', measure: measureOne },
  { name: 'throughput', group: 'warm', about: 'warm calls over 32 connections', measure: measureThroughput },
];
