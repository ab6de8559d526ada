/** First calls over HTTP beside a bare start of the same runtime: with a blank ready, without one, Python. */
import { PHASES, type StartKind } from '../../../services/core/invocations/types.ts';
import type { TestPlatform } from '../../helpers/platform.ts';
import { type Answer, type Client, openClient, sumStarted } from '../client.ts';
import { EVENT, invokePath, nodeCode, PREFIX, poolText, pythonCode, SMALL, untilQuiet } from '../functions.ts';
import { atMost, compare } from '../rows.ts';
import { summarize } from '../stats.ts';
import type { BenchContext, Line, Row } from '../types.ts';

export const NODE = 'node -e 0';
const PYTHON = 'python3 -I -S -c pass';
const ONE_BY_ONE = 'one at a time, each a new version; the platform is quiet before each';

interface FirstCalls {
  /** Deploys a version that was never called. */
  deploy: (round: number) => Promise<unknown>;
  name: string;
  rounds: number;
  expect: StartKind;
  reference: () => Promise<number>;
}

interface FirstSamples {
  calls: Answer[];
  reference: number[];
  /** Before the first call. */
  pool: string;
}

/** Deploy, wait until nothing moves, the reference, the call; and again. */
export async function firstCalls(wafer: TestPlatform, client: Client, options: FirstCalls): Promise<FirstSamples> {
  const { deploy, name, rounds, expect, reference } = options;
  const samples: FirstSamples = { calls: [], reference: [], pool: '' };
  for (let round = 0; round <= rounds; round++) {
    await deploy(round);
    const live = await untilQuiet(wafer, { blanks: expect === 'blank' });
    const bare = await reference();
    const answer = await client.post(invokePath(name), EVENT);
    if (answer.start !== expect) throw new Error(`the start of ${name} was ${answer.start}, not ${expect}`);
    if ((JSON.parse(answer.text) as { from?: number }).from !== round)
      throw new Error(`${name}: the answer is not of version ${round}`);
    if (round === 0) continue; // the first of all pays for what is loaded once
    samples.pool ||= poolText(live);
    samples.reference.push(bare);
    samples.calls.push(answer);
  }
  return samples;
}

/** Where the time went: medians of the receipt's phases, and of what the caller saw beyond them. */
export function phasesText({ calls }: FirstSamples): string {
  const median = (of: (answer: Answer) => number) => summarize(calls.map(of)).p50.toFixed(2);
  const parts = PHASES.map((phase) => `${phase} ${median(({ phases }) => phases?.[phase] ?? Number.NaN)}`);
  const beyond = median(({ ms, phases }) => ms - (phases === null ? 0 : phases.queue + sumStarted(phases)));
  return `p50 of phases, ms: ${parts.join(', ')}; HTTP on both sides ${beyond}`;
}

export const times = ({ calls }: FirstSamples): number[] => calls.map(({ ms }) => ms);

async function measureNode(context: BenchContext): Promise<Row[]> {
  const wafer = await context.platform();
  const reference = await context.reference();
  const client = openClient(wafer.url, { key: wafer.key });
  const name = `${PREFIX}first`;
  try {
    const samples = await firstCalls(wafer, client, {
      name,
      rounds: context.count(200, 30),
      expect: 'blank',
      deploy: (round) => wafer.deploy(name, nodeCode(round), SMALL),
      reference: reference.startNode,
    });
    const bare = { name: NODE, samples: samples.reference };
    const atWorker = samples.calls.map(({ phases }) => (phases === null ? Number.NaN : sumStarted(phases)));
    const notes = [samples.pool, ONE_BY_ONE, phasesText(samples)];
    return [
      compare({
        what: 'first call of a small Node function over HTTP, a blank ready',
        ours: times(samples),
        reference: bare,
        p50: atMost(0.25),
        p99: atMost(0.75),
        notes,
      }),
      compare({
        what: 'the same, seen at the worker: take a blank -> answer',
        ours: atWorker,
        reference: bare,
        p50: atMost(0.1),
        notes: [samples.pool, 'attach, init and handler of its receipt'],
      }),
    ];
  } finally {
    await client.close();
  }
}

async function measureCold(context: BenchContext): Promise<Row[]> {
  const wafer = await context.platform({ WAFER_BLANKS: '0' });
  const reference = await context.reference();
  const client = openClient(wafer.url, { key: wafer.key });
  const name = `${PREFIX}cold`;
  try {
    const samples = await firstCalls(wafer, client, {
      name,
      rounds: context.count(120, 20),
      expect: 'cold',
      deploy: (round) => wafer.deploy(name, nodeCode(round), SMALL),
      reference: reference.startNode,
    });
    return [
      compare({
        what: 'first call of a small Node function over HTTP, no blank ready',
        ours: times(samples),
        reference: { name: NODE, samples: samples.reference },
        p50: atMost(1.3),
        p99: atMost(2),
        notes: ['WAFER_BLANKS=0', samples.pool, ONE_BY_ONE, phasesText(samples)],
      }),
    ];
  } finally {
    await client.close();
  }
}

async function measurePython(context: BenchContext): Promise<Row[]> {
  const wafer = await context.platform();
  const reference = await context.reference();
  const client = openClient(wafer.url, { key: wafer.key });
  const name = `${PREFIX}python`;
  const config = { ...SMALL, runtime: 'python' };
  try {
    const samples = await firstCalls(wafer, client, {
      name,
      rounds: context.count(120, 20),
      expect: 'blank',
      deploy: (round) => wafer.deploy(name, pythonCode(round), config),
      reference: reference.startPython,
    });
    return [
      compare({
        what: 'first call of a Python function over HTTP, a blank ready',
        ours: times(samples),
        reference: { name: PYTHON, samples: samples.reference },
        p50: atMost(0.6),
        p99: atMost(1.5),
        notes: [samples.pool, ONE_BY_ONE, phasesText(samples)],
      }),
    ];
  } finally {
    await client.close();
  }
}

export const first: Line = {
  name: 'first',
  group: 'calls',
  about: 'first call of a small Node function, a blank ready',
  measure: measureNode,
};
export const python: Line = {
  name: 'python',
  group: 'calls',
  about: 'first call of a Python function, a blank ready',
  measure: measurePython,
};
export const cold: Line = {
  name: 'cold',
  group: 'cold',
  about: 'first call of a small Node function, no blank',
  measure: measureCold,
};
