/**
 * Children that a Node process forks: what they are asked (tasks.cjs) and how that ended. For the experiment (main.ts)
 * and for the test that keeps its result true (test/sandbox/node-zygote.test.ts); nothing of Wafer uses it.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { CLEAN_ENV } from '../peers/launcher.ts';

const exec = promisify(execFile);

/** As near to one thread as Node can be brought. */
export const SINGLE_THREADED = ['--single-threaded', '--v8-pool-size=1'];

export interface Child {
  task: string;
  /** Its exit status, `killed by N` (a signal), or `hung`. */
  ended: number | string;
  /** What it found; null where it found nothing, or did not come so far. */
  value: unknown;
  /** From the fork to its end, and of the fork alone. Only of children forked in turn. */
  ms?: number;
  forkMs?: number;
}

export interface Probed {
  /** Of the process that forks. */
  threads: number;
  /** Processor time of a child, the forking process's part included. Its ticks are 10 ms: of many, forked in turn. */
  cpuMs: number;
  children: Child[];
}

export interface ProbeOptions {
  node: string;
  /** What `buildFork` made. */
  addon: string;
  /** Of Node. */
  flags: readonly string[];
  /** Of `tasks.cjs`. */
  tasks: readonly string[];
  /** For each task. */
  children: number;
  /** Without V8's heap, as V8 wants a fork. */
  isPlain?: boolean;
  /** One task, one child after the other, with times. */
  isTimed?: boolean;
}

/** @returns the addon, in that directory */
export async function buildFork(directory: string): Promise<string> {
  const addon = join(directory, 'fork.node');
  await exec('cc', ['-O2', '-shared', '-fPIC', '-o', addon, join(import.meta.dirname, 'fork.c')]);
  return addon;
}

export async function probe(options: ProbeOptions): Promise<Probed> {
  const { node, addon, flags, tasks, children, isPlain = false, isTimed = false } = options;
  const zygote = join(import.meta.dirname, 'zygote.cjs');
  const how = [isPlain ? 'plain' : 'whole', isTimed ? 'in-turn' : 'together'];
  const args = [...flags, zygote, addon, ...how, String(children), ...tasks];
  const { stdout } = await exec(node, args, { env: CLEAN_ENV });
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Probed;
}
