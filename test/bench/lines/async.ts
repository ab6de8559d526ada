/** Calls that are accepted first, beside bare BullMQ on the same Redis: to accept them, one there and back, and to drain many. */
import type { TestPlatform } from '../../helpers/platform.ts';
import { until } from '../../helpers/until.ts';
import { type Client, openClient } from '../client.ts';
import { EVENT, eachOf, invokePath, nodeCode, PREFIX, SMALL } from '../functions.ts';
import { startAdder } from '../peers/bare-fastify.ts';
import { openOwnAccept } from '../peers/own-accept.ts';
import { openRawQueue, type RawQueue, REDIS_SOCKET } from '../peers/raw-queue.ts';
import { atLeast, atMost, compare } from '../rows.ts';
import { summarize, timed } from '../stats.ts';
import type { BenchContext, Line, Row } from '../types.ts';

const CONNECTIONS = 32;
const ADD = `BullMQ add() in process, ${CONNECTIONS} at a time`;
const ADD_HTTP = 'bare fastify that adds to BullMQ';
const CLOSED = 'closed loop; the same Redis; the client runs on the same cores';
const BLOCK = 20;
/** As with the bare queue nobody takes what is accepted: it would share the processors with its runs. */
const NO_WORKER = { WAFER_ASYNC_CONCURRENCY: '0' };
/** Of the reference, in rate and in the inverse of latency. */
const LEAST = 0.7;
const BATCH_SIZE = 100;
const BATCH = JSON.stringify(Array.from({ length: BATCH_SIZE }, () => ({ n: 1 })));
const batchPath = (name: string, more = '') => `/v1/functions/${name}/batch?${more}`;
const asyncPath = (name: string, more = '') => `/v1/functions/${name}/async?${more}`;

interface Bench {
  wafer: TestPlatform;
  client: Client;
  raw: RawQueue;
  name: string;
}

interface Where {
  context: BenchContext;
  env?: Record<string, string>;
}

async function withBench(
  { context, env }: Where,
  text: string,
  work: (bench: Bench) => Promise<Row[]>,
): Promise<Row[]> {
  const wafer = await context.platform(env);
  const client = openClient(wafer.url, { key: wafer.key, connections: CONNECTIONS });
  const raw = await openRawQueue();
  const name = `${PREFIX}async-${text}`;
  try {
    await wafer.deploy(name, nodeCode(text), { ...SMALL, queue: { maxPending: 1_000_000 } });
    return await work({ wafer, client, raw, name });
  } finally {
    await raw.close();
    await client.close();
  }
}

const measureAccept = (context: BenchContext) =>
  withBench({ context, env: NO_WORKER }, 'accept', async ({ wafer, client, raw, name }) => {
    const adder = await startAdder(REDIS_SOCKET);
    const own = await openOwnAccept();
    const bare = openClient(adder.url, { connections: CONNECTIONS });
    const accepted: string[] = [];
    const accept = async () => accepted.push((await post<Taken>(client, asyncPath(name), EVENT)).id);
    const acceptMany = async () => {
      const { results } = await post<{ results: Taken[] }>(client, batchPath(name), BATCH);
      accepted.push(...results.map(({ id }) => id));
    };
    const addOverHttp = () => bare.post('/', EVENT, 202);
    const ways = { accept, acceptMany, acceptHere: own.accept, addOverHttp, add: raw.add, rested: raw.rested };
    try {
      const rows = [...(await acceptOneByOne(context, ways)), ...(await acceptManyAtOnce(context, ways))];
      await eachOf(accepted, CONNECTIONS, (id) => wafer.fetch(`/v1/invocations/${id}`, { method: 'DELETE' }));
      return rows;
    } finally {
      await own.close();
      await bare.close();
      await adder.close();
    }
  });

interface Taken {
  id: string;
}
const post = async <T>(client: Client, path: string, body: string) =>
  JSON.parse((await client.post(path, body, 202)).text) as T;

type Ways<Name extends string> = Record<Name, () => Promise<unknown>>;

async function acceptOneByOne(
  context: BenchContext,
  ways: Ways<'accept' | 'acceptHere' | 'addOverHttp' | 'add'>,
): Promise<Row[]> {
  const none = () => ({
    accept: [] as number[],
    acceptHere: [] as number[],
    http: [] as number[],
    add: [] as number[],
  });
  const samples = none();
  const block = async (into: number[], way: () => Promise<unknown>) => {
    for (let call = 0; call < BLOCK; call++) into.push(await timed(way));
  };
  for (let round = -1; round < context.count(20, 4); round++) {
    const into = round < 0 ? none() : samples; // compilers come to rest
    await block(into.add, ways.add);
    await block(into.acceptHere, ways.acceptHere);
    await block(into.http, ways.addOverHttp);
    await block(into.accept, ways.accept);
  }
  const notes = ['each waits for its fsync'];
  return [
    compare({
      what: 'accept an async call, in process, one at a time',
      ours: samples.acceptHere,
      reference: { name: 'BullMQ add() in process', samples: samples.add },
      p50: atMost(1 / LEAST),
      p99: null,
      notes,
    }),
    compare({
      what: 'accept an async call, one at a time',
      ours: samples.accept,
      reference: { name: ADD_HTTP, samples: samples.http },
      p50: null,
      p99: null,
      notes,
    }),
  ];
}

async function acceptManyAtOnce(
  context: BenchContext,
  ways: Ways<'accept' | 'acceptMany' | 'acceptHere' | 'addOverHttp' | 'add' | 'rested'>,
): Promise<Row[]> {
  const none = (): number[] => [];
  const rates = { accept: none(), acceptMany: none(), acceptHere: none(), http: none(), add: none() };
  const seconds = 1;
  const rate = async (call: () => Promise<unknown>, forSeconds = seconds, connections = CONNECTIONS) => {
    await ways.rested();
    return ratePerSecond(call, forSeconds, connections);
  };
  for (let round = 0; round < context.count(5, 2); round++) {
    rates.add.push(await rate(ways.add));
    rates.acceptHere.push(await rate(ways.acceptHere));
    rates.http.push(await rate(ways.addOverHttp));
    rates.accept.push(await rate(ways.accept));
    rates.acceptMany.push((await rate(ways.acceptMany, seconds / 4, 2)) * BATCH_SIZE);
  }
  const row = (what: string, ours: number[], name: string, theirs: number[]): Row => {
    const [mine, reference] = [summarize(ours), summarize(theirs)];
    const figures = [{ what: 'p50 ratio', value: mine.p50 / reference.p50, target: atLeast(LEAST) }];
    return { what, unit: 'calls/s', ours: mine, reference: { name, ...reference }, figures, notes: [CLOSED] };
  };
  return [
    row(`accept async calls, in process, ${CONNECTIONS} at a time`, rates.acceptHere, ADD, rates.add),
    row(`accept async calls, ${CONNECTIONS} connections`, rates.accept, ADD_HTTP, rates.http),
    row(`accept async calls, ${BATCH_SIZE} in a batch`, rates.acceptMany, ADD, rates.add),
  ];
}

/** Closed loop: each of the connections begins the next when its last one was answered. */
async function ratePerSecond(call: () => Promise<unknown>, seconds: number, connections: number): Promise<number> {
  const end = performance.now() + seconds * 1000;
  let calls = 0;
  const loop = async () => {
    for (; performance.now() < end; calls++) await call();
  };
  const began = performance.now();
  await Promise.all(Array.from({ length: connections }, loop));
  return (calls * 1000) / (performance.now() - began);
}

const measureRoundTrip = (context: BenchContext) =>
  withBench({ context }, 'round-trip', async ({ client, raw, name }) => {
    const ours: number[] = [];
    const theirs: number[] = [];
    const accepted = () => client.post(invokePath(name), EVENT, 200, { prefer: 'respond-async, wait=30' });
    for (let round = -1; round < context.count(20, 4); round++) {
      for (let call = 0; call < BLOCK; call++) {
        const there = await timed(raw.roundTrip);
        const warm = await timed(() => client.post(invokePath(name), EVENT));
        const all = await timed(accepted);
        if (round < 0) continue; // both come to rest
        theirs.push(there + warm);
        ours.push(all);
      }
    }
    return [
      compare({
        what: 'an async call from the request to its result, idle system',
        ours,
        reference: { name: 'BullMQ round trip + warm call', samples: theirs },
        p50: atMost(3),
        p99: null,
        notes: ['Prefer: respond-async, wait=30; an instance is warm'],
      }),
    ];
  });

const measureDrain = (context: BenchContext) =>
  withBench({ context }, 'drain', async ({ wafer, client, raw, name }) => {
    const count = context.count(10_000, 1_000);
    await client.post(invokePath(name), EVENT);
    const theirs = await raw.drain(count, 16);
    const ours = await drain({ wafer, client, raw, name }, count);
    return [
      {
        what: `drain of ${count.toLocaleString('en')} queued calls`,
        unit: 'calls/s',
        ours: summarize([ours]),
        reference: { name: 'BullMQ, empty jobs, 16 at a time', ...summarize([theirs]) },
        figures: [{ what: 'p50 ratio', value: ours / theirs, target: null }],
        notes: ['each call runs in a sandbox and leaves a record; instances of one call at a time'],
      },
    ];
  });

/** All are due at one moment, when the last of them has been accepted for some time. */
async function drain({ wafer, client, name }: Bench, count: number): Promise<number> {
  const events = JSON.stringify(Array.from({ length: 1_000 }, () => ({ n: 1 })));
  const others = await pendingCalls(wafer);
  const dueAt = Date.now() + count * 3 + 5_000;
  for (let at = 0; at < count; at += 1_000)
    await client.post(batchPath(name, `runAt=${new Date(dueAt).toISOString()}`), events, 202);
  if (Date.now() > dueAt) throw new Error('the calls were due before all of them were accepted');
  await until('all have ended', async () => (await pendingCalls(wafer)) <= others, 300_000);
  const { invocations } = (await (await wafer.fetch(`/v1/invocations?function=${name}&limit=999`)).json()) as {
    invocations: { finishedAt: number }[];
  };
  const endedAt = Math.max(...invocations.map(({ finishedAt }) => finishedAt));
  return (count * 1000) / (endedAt - dueAt);
}

async function pendingCalls(wafer: TestPlatform): Promise<number> {
  const text = await (await wafer.fetch('/metrics')).text();
  return Number(/^wafer_async_calls\{place="pending"\} (\d+)/m.exec(text)?.[1] ?? Number.NaN);
}

export const lines: Line[] = [
  { name: 'accept', group: 'async', about: 'to accept async calls', measure: measureAccept },
  { name: 'round-trip', group: 'async', about: 'an async call there and back', measure: measureRoundTrip },
  { name: 'drain', group: 'async', about: 'queued calls a second', measure: measureDrain },
];
