/**
 * `npx tsx test/bench/node-zygote/main.ts [ROUNDS]`: what a fork server for Node would give, and what its children can
 * not do, for infra/decisions/0010-zygotes.md. The base image's Node, on the bare host: what the sandbox around it
 * costs is the same for both. Executed and forked in turn in one run.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { programInLayers } from '../../helpers/layer-file.ts';
import { openTestHost } from '../../helpers/sandbox-host.ts';
import { CLEAN_ENV, type Launch, openLauncher } from '../peers/launcher.ts';
import { summarize } from '../stats.ts';
import { buildFork, type Child, probe, SINGLE_THREADED } from './probe.ts';

const ROUNDS = Number(process.argv[2] ?? 10);
/** Of each way, in each round. */
const RUNS = 10;
const HAZARDS = ['collect', 'compile', 'wasm', 'pool', 'web', 'worker', 'timed wait', 'end', 'exit', 'error'];
const SAME = ['random', 'random of a new context', 'uuid', 'bytes', 'layout'];
const CHILDREN = 6;

const exec = promisify(execFile);
const p50 = (values: readonly number[]) => summarize(values).p50;

interface Bench {
  node: string;
  addon: string;
  launch: Launch;
}

const samples = new Map<string, number[]>();
const note = (row: string, ...values: number[]) => samples.set(row, [...(samples.get(row) ?? []), ...values]);

async function executeAndFork(
  { node, addon, launch }: Bench,
  what: string,
  argv: string[],
  task: string,
): Promise<void> {
  const executed = await launch([node, ...argv], { count: RUNS });
  note(`${what} (ms)|executed`, ...executed.ms);
  note(`processor time of that (ms): ${what}|executed`, ...executed.cpuMs);
  const common = { node, addon, flags: SINGLE_THREADED, children: RUNS, isTimed: true };
  const forked = await probe({ ...common, tasks: [task] });
  note(`${what} (ms)|forked`, ...forked.children.map(({ ms = Number.NaN }) => ms));
  note(`processor time of that (ms): ${what}|forked`, forked.cpuMs);
  note('the fork call alone (ms)|forked', ...forked.children.map(({ forkMs = Number.NaN }) => forkMs));
}

/** Work that allocates, in a new process each time; it prints its ms. */
const ALLOCATING = `const kept = []; let sum = 0; const began = performance.now();
  for (let round = 0; round < 60; round++) {
    kept.length = 0;
    for (let i = 0; i < 50000; i++) kept.push({ i, s: 'x' + i });
    for (const one of kept) sum += one.s.length;
  }
  console.log(performance.now() - began);`;

async function measure(bench: Bench): Promise<void> {
  const work = join(import.meta.dirname, 'work.cjs');
  const number = async (...argv: string[]) => Number((await exec(bench.node, argv, { env: CLEAN_ENV })).stdout);
  for (let round = 0; round < ROUNDS; round++) {
    await executeAndFork(bench, 'nothing', ['-e', '0'], 'nothing');
    await executeAndFork(bench, 'load and call a handler', [work], 'work');
    note('private memory after that (MB)|executed', (await number(work, 'memory')) / 1024);
    const { children } = await probe({
      ...bench,
      flags: SINGLE_THREADED,
      tasks: ['memory'],
      children: 1,
      isTimed: true,
    });
    note('private memory after that (MB)|forked', Number(children[0]?.value) / 1024);
    note('work that allocates (ms)|executed', await number('-e', ALLOCATING));
    note('work that allocates (ms)|forked', await number(...SINGLE_THREADED, '-e', ALLOCATING));
  }
}

function printTimes(): void {
  const cells = (...some: string[]) => some.map((cell) => cell.padStart(9)).join('');
  const of = (row: string, way: string) => p50(samples.get(`${row}|${way}`) ?? []);
  console.log(`\n${`p50, load ${loadavg()[0]?.toFixed(1)}`.padEnd(56)}${cells('executed', 'forked', 'ratio')}`);
  for (const row of new Set([...samples.keys()].map((key) => key.split('|')[0] ?? ''))) {
    const [executed, forked] = [of(row, 'executed'), of(row, 'forked')];
    const both = cells(executed.toFixed(1), forked.toFixed(1), (forked / executed).toFixed(2));
    console.log(`${row.padEnd(56)}${Number.isNaN(executed) ? cells('-', forked.toFixed(1)) : both}`);
  }
}

/** `6 ended 0`, or `4 hung, 2 killed by 11`. */
function tally(children: readonly Child[]): string {
  const counts = new Map<string, number>();
  for (const { ended } of children) {
    const how = typeof ended === 'number' ? `ended ${ended}` : ended;
    counts.set(how, (counts.get(how) ?? 0) + 1);
  }
  return [...counts].map(([how, count]) => `${count} ${how}`).join(', ');
}

async function printHazards({ node, addon }: Bench): Promise<void> {
  const common = { node, addon, children: CHILDREN };
  const single = await probe({ ...common, flags: SINGLE_THREADED, tasks: [...HAZARDS, ...SAME] });
  const usual = await probe({ ...common, flags: [], tasks: HAZARDS });
  console.log(`\nhow ${CHILDREN} children end, threads of their parent: ${single.threads} and ${usual.threads}`);
  console.log(`${''.padEnd(26)}${SINGLE_THREADED.join(' ').padEnd(40)}no flags`);
  const of = (children: readonly Child[], task: string) => children.filter((child) => child.task === task);
  for (const task of HAZARDS)
    console.log(`${task.padEnd(26)}${tally(of(single.children, task)).padEnd(40)}${tally(of(usual.children, task))}`);
  for (const task of SAME) {
    const values = new Set(of(single.children, task).map(({ value }) => value));
    console.log(`${task.padEnd(26)}${values.size} different`);
  }
}

const directory = await mkdtemp(join(tmpdir(), 'node-zygote-'));
try {
  const test = await openTestHost();
  const node = await programInLayers(test.base('node24').layers, 'usr/local/bin/node');
  await test.close();
  const bench = { node, addon: await buildFork(directory), launch: await openLauncher(directory) };
  console.log(`Node ${(await exec(node, ['--version'], { env: CLEAN_ENV })).stdout.trim()}`);
  await printHazards(bench);
  await measure(bench);
  printTimes();
} finally {
  await rm(directory, { recursive: true });
}
