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

interface FirstLine {
  name: string;
  env?: Record<string, string>;
  rounds: (context: BenchContext) => number;
  expect: StartKind;
  code: (round: number) => Record<string, string>;
  config: object;
  reference: 'startNode' | 'startPython';
}

/** On a platform of this environment; the rows are made of what was measured. */
async function measureFirst(
  context: BenchContext,
  { name, env, rounds, expect, code, config, reference }: FirstLine,
  toRows: (samples: FirstSamples) => Row[],
): Promise<Row[]> {
  const wafer = await context.platform(env);
  const bare = await context.reference();
  const client = openClient(wafer.url, { key: wafer.key });
  try {
    const deploy = (round: number) => wafer.deploy(name, code(round), config);
    const options = { name, rounds: rounds(context), expect, deploy, reference: bare[reference] };
    return toRows(await firstCalls(wafer, client, options));
  } finally {
    await client.close();
  }
}

const NODE_LINE = { code: nodeCode, config: SMALL, reference: 'startNode' } as const;

const measureNode = (context: BenchContext) =>
  measureFirst(
    context,
    { ...NODE_LINE, name: `${PREFIX}first`, rounds: ({ count }) => count(200, 30), expect: 'blank' },
    (samples) => {
      const reference = { name: NODE, samples: samples.reference };
      const atWorker = samples.calls.map(({ phases }) => (phases === null ? Number.NaN : sumStarted(phases)));
      return [
        compare({
          what: 'first call of a small Node function over HTTP, a blank ready',
          ours: times(samples),
          reference,
          p50: atMost(0.25),
          p99: atMost(0.75),
          notes: [samples.pool, ONE_BY_ONE, phasesText(samples)],
        }),
        compare({
          what: 'the same, seen at the worker: take a blank -> answer',
          ours: atWorker,
          reference,
          p50: atMost(0.1),
          notes: [samples.pool, 'attach, init and handler of its receipt'],
        }),
      ];
    },
  );

const measureCold = (context: BenchContext) =>
  measureFirst(
    context,
    {
      ...NODE_LINE,
      name: `${PREFIX}cold`,
      env: { WAFER_BLANKS: '0' },
      rounds: ({ count }) => count(120, 20),
      expect: 'cold',
    },
    (samples) => [
      compare({
        what: 'first call of a small Node function over HTTP, no blank ready',
        ours: times(samples),
        reference: { name: NODE, samples: samples.reference },
        p50: atMost(1.3),
        p99: atMost(2),
        notes: ['WAFER_BLANKS=0', samples.pool, ONE_BY_ONE, phasesText(samples)],
      }),
    ],
  );

const measurePython = (context: BenchContext) =>
  measureFirst(
    context,
    {
      name: `${PREFIX}python`,
      rounds: ({ count }) => count(120, 20),
      expect: 'blank',
      code: pythonCode,
      config: { ...SMALL, runtime: 'python' },
      reference: 'startPython',
    },
    (samples) => [
      compare({
        what: 'first call of a Python function over HTTP, a blank ready',
        ours: times(samples),
        reference: { name: PYTHON, samples: samples.reference },
        p50: atMost(0.6),
        p99: atMost(1.5),
        notes: [samples.pool, ONE_BY_ONE, phasesText(samples)],
      }),
    ],
  );

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
