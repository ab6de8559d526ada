/** What idle instances cost: private memory of each beside a bare idle node, and CPU of all of them together. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { TestPlatform } from '../../helpers/platform.ts';
import { hostProcesses, processTree } from '../../helpers/processes.ts';
import { openClient } from '../client.ts';
import { EVENT, eachOf, invokePath, nodeCode, PREFIX, readLive, SMALL, untilQuiet } from '../functions.ts';
import { CLEAN_ENV } from '../peers/reference.ts';
import { cpuMs, privateBytes } from '../procfs.ts';
import { atMost, below } from '../rows.ts';
import { single, summarize } from '../stats.ts';
import type { BenchContext, Line, Row } from '../types.ts';

const MB = 1024 * 1024;
const INSTANCES = 40;
const IDLE = 100;
/** They stay until the bench is done with them. */
const KEPT = { WAFER_IDLE_MS: '600000', WAFER_MEMORY_MB: '16384' };
/** The pool has frozen them by then, and V8 has done what it does when nothing comes. */
const REST_MS = 10_000;

async function startInstances(context: BenchContext, count: number): Promise<TestPlatform> {
  const wafer = await context.platform(KEPT);
  const client = openClient(wafer.url, { key: wafer.key });
  const names = Array.from({ length: count }, (_, number) => `${PREFIX}idle-${number}`);
  try {
    await eachOf(names, 4, (name) => wafer.deploy(name, nodeCode(name), SMALL));
    for (const name of names) await client.post(invokePath(name), EVENT);
  } finally {
    await client.close();
  }
  await untilQuiet(wafer, { instances: count });
  await delay(REST_MS);
  return wafer;
}

async function measureMemory(context: BenchContext): Promise<Row[]> {
  const { node } = await context.reference();
  const wafer = await startInstances(context, INSTANCES);
  const bare = await startBare(node, INSTANCES / 4);
  try {
    await delay(REST_MS / 2);
    const { instances } = await readLive(wafer);
    const all = await hostProcesses();
    const below = (pid: number): number[] => [
      pid,
      ...all.filter((one) => one.ppid === pid).flatMap((one) => below(one.pid)),
    ];
    const trees = instances.map(({ pid }) => below(pid));
    const perInstance: number[] = [];
    for (const tree of trees) perInstance.push(await sumPrivate(tree));
    const theirs = await Promise.all(bare.map(async ({ pid = 0 }) => (await privateBytes(pid)) / MB));
    const [ours, reference] = [summarize(perInstance), summarize(theirs)];
    return [
      {
        what: 'memory of an idle Node instance, private',
        unit: 'MB',
        ours,
        reference: { name: 'bare idle node', ...reference },
        figures: [{ what: 'p50 ratio', value: ours.p50 / reference.p50, target: atMost(1.25) }],
        notes: [
          `${INSTANCES} instances after one call each, ${trees.flat().length} processes; ${bare.length} bare ones of the same binary beside them`,
          'Private_Clean + Private_Dirty of every process of the sandbox; of its pid 1, which nobody may look into, all anonymous memory that it has, shared with the engine or not',
        ],
      },
    ];
  } finally {
    for (const child of bare) child.kill('SIGKILL');
    await Promise.all(bare.map((child) => once(child, 'close')));
  }
}

async function sumPrivate(tree: number[]): Promise<number> {
  const each = await Promise.all(tree.map(privateBytes));
  return each.reduce((sum, bytes) => sum + bytes, 0) / MB;
}

async function startBare(node: string, count: number): Promise<ChildProcess[]> {
  const children = Array.from({ length: count }, () =>
    spawn(node, ['-e', 'setInterval(() => {}, 2 ** 30); console.log(1)'], {
      env: CLEAN_ENV,
      stdio: ['ignore', 'pipe', 'ignore'],
    }),
  );
  await Promise.all(children.map((child) => once(child.stdout as NodeJS.ReadableStream, 'data')));
  return children;
}

async function measureCpu(context: BenchContext): Promise<Row[]> {
  const wafer = await startInstances(context, IDLE);
  const seconds = context.count(20, 5);
  const pids = (await processTree(wafer.pid)).map(({ pid }) => pid);
  const sum = async () => (await Promise.all(pids.map(cpuMs))).reduce((all, ms) => all + ms, 0);
  const before = await sum();
  const began = performance.now();
  await delay(seconds * 1000);
  const share = (((await sum()) - before) / (performance.now() - began)) * 100;
  return [
    {
      what: 'idle CPU with 100 idle instances',
      unit: '% of a core',
      ours: single(share),
      reference: null,
      figures: [{ what: '% of a core', value: share, target: below(1) }],
      notes: [`${seconds} s; platform, Redis, engine and all sandboxes: ${pids.length} processes`],
    },
  ];
}

export const lines: Line[] = [
  { name: 'memory', group: 'idle', about: 'private memory of idle instances', measure: measureMemory },
  { name: 'cpu', group: 'idle', about: 'CPU of 100 idle instances', measure: measureCpu },
];
