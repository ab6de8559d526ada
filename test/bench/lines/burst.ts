/** Many first calls: 100 at once, and as many a second as the machine sustains. */
import type { TestPlatform } from '../../helpers/platform.ts';
import { type Client, openClient } from '../client.ts';
import { EVENT, eachOf, invokePath, nodeCode, PREFIX, poolText, SMALL, untilQuiet } from '../functions.ts';
import { findRate, type RateTried } from '../open-loop.ts';
import { atLeast, atMost, compare } from '../rows.ts';
import { single, summarize, timed } from '../stats.ts';
import type { BenchContext, Line, Row, Target } from '../types.ts';

const COUNT = 100;
/** Instances and blanks of 64 MB each: not the platform's share for them is measured. */
const ROOM = { WAFER_MEMORY_MB: '16384' };
const names = (what: string) => Array.from({ length: COUNT }, (_, number) => `${PREFIX}${what}-${number}`);

const deployAll = (wafer: TestPlatform, all: readonly string[], text: string) =>
  eachOf(all, 4, (name) => wafer.deploy(name, nodeCode(`${text} ${name}`), SMALL));

interface Burst {
  ms: number;
  bareMs: number;
  pool: string;
  starts: Record<string, number>;
}

async function oneBurst(wafer: TestPlatform, client: Client, all: readonly string[], bareMs: number): Promise<Burst> {
  const starts: Record<string, number> = {};
  const call = async (name: string) => {
    const { start } = await client.post(invokePath(name), EVENT);
    starts[String(start)] = (starts[String(start)] ?? 0) + 1;
  };
  const pool = poolText(await untilQuiet(wafer));
  await client.open('/healthz');
  return { ms: await timed(() => Promise.all(all.map(call))), bareMs, pool, starts };
}

async function measureBursts(context: BenchContext): Promise<Row[]> {
  await context.stopPlatform(); // what it had learned of bursts
  const wafer = await context.platform(ROOM);
  const reference = await context.reference();
  const client = openClient(wafer.url, { key: wafer.key, connections: COUNT });
  const all = names('burst');
  const bursts: Burst[] = [];
  try {
    for (let round = 0; round <= context.count(4, 1); round++) {
      await deployAll(wafer, all, `round ${round}`);
      await untilQuiet(wafer);
      const bare = await reference.launch([reference.node, '-e', '0'], { count: COUNT, parallel: 2 });
      bursts.push(await oneBurst(wafer, client, all, bare.allMs));
    }
  } finally {
    await client.close();
  }
  return [
    burstRow('one like it was before', bursts.slice(1), atMost(0.5)),
    burstRow('out of the blue', bursts.slice(0, 1), null),
  ];
}

const burstRow = (kind: string, bursts: Burst[], target: Target | null): Row =>
  compare({
    what: `100 first calls of 100 functions at once, time to the last answer; ${kind}`,
    ours: bursts.map(({ ms }) => ms),
    reference: { name: '100 x node -e 0, 2 at a time', samples: bursts.map(({ bareMs }) => bareMs) },
    p50: target,
    notes: [
      `${[...new Set(bursts.map(({ pool }) => pool))].join('; ')}; all calls in one moment`,
      `starts: ${bursts.map(({ starts }) => startsText(starts)).join('; ')}`,
    ],
  });

export const startsText = (starts: Record<string, number>): string =>
  Object.entries(starts)
    .map(([kind, count]) => `${count} ${kind}`)
    .join(', ');

/** Instances end after their call: each call of a function is a first one. */
const EACH_ITS_OWN = { WAFER_IDLE_MS: '0', WAFER_KEEP_ALIVE: 'fixed' };
const MAX_P99_MS = 30;
const CORES = 2;

async function measureSustained(context: BenchContext): Promise<Row[]> {
  const wafer = await context.platform({ ...ROOM, ...EACH_ITS_OWN });
  const reference = await context.reference();
  const all = names('rate');
  await deployAll(wafer, all, 'rate');
  const live = await untilQuiet(wafer);
  const client = openClient(wafer.url, { key: wafer.key, connections: 64 });
  try {
    const { cpuMs } = await reference.launch([reference.node, '-e', '0'], { count: context.count(60, 20) });
    const bound = (CORES * 1000) / summarize(cpuMs).p50;
    const found = await findRate({
      lowest: bound * 0.05,
      highest: bound * 1.2,
      steps: context.count(7, 3),
      seconds: context.count(6, 2),
      maxP99Ms: MAX_P99_MS,
      call: (number) => firstCall(client, all, number),
      between: () => untilQuiet(wafer).then(() => {}),
    });
    return [toRow(bound, found, poolText(live))];
  } finally {
    await client.close();
  }
}

async function firstCall(client: Client, all: readonly string[], number: number): Promise<string> {
  const { start } = await client.post(invokePath(all[number % all.length] ?? ''), EVENT);
  if (start === 'warm') throw new Error('a call that was to be a first one was warm');
  return String(start);
}

function toRow(bound: number, tried: RateTried[], pool: string): Row {
  const best = tried.filter(({ passed }) => passed).sort((a, b) => b.rate - a.rate)[0];
  const rate = best?.rate ?? 0;
  return {
    what: 'sustained first calls a second at p99 <= 30 ms',
    unit: 'calls/s',
    ours: single(rate),
    reference: { name: '2 cores / CPU time of node -e 0', ...single(bound) },
    figures: [{ what: 'ratio', value: rate / bound, target: atLeast(0.7) }],
    notes: [
      pool,
      'open loop, even arrivals over 100 functions whose instances end after each call',
      ...(best === undefined ? ['no rate that was tried had a p99 <= 30 ms'] : [`at that rate ${rateText(best)}`]),
      `tried: ${tried.map(rateText).join('; ')}`,
    ],
  };
}

const rateText = ({ rate, sent, latency, failed, kinds }: RateTried): string =>
  `${rate.toFixed(1)}/s: p50 ${latency.p50.toFixed(1)}, p99 ${latency.p99.toFixed(1)} ms of ${sent}, ${startsText(kinds)}${failed > 0 ? `, ${failed} failed` : ''}`;

export const lines: Line[] = [
  { name: 'burst', group: 'many-first', about: '100 first calls at once', measure: measureBursts },
  { name: 'sustained', group: 'many-first', about: 'first calls a second, open loop', measure: measureSustained },
];
