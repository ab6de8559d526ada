/**
 * Why programs of Node are not forked (infra/decisions/0010-zygotes.md), each reason as the base image's Node has it.
 * A test that fails after a new Node is good news: the reason is gone, and the decision wants another look.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildFork, type Child, type ProbeOptions, probe, SINGLE_THREADED } from '../bench/node-zygote/probe.ts';
import { programInLayers } from '../helpers/layer-file.ts';
import { openTestHost } from '../helpers/sandbox-host.ts';

const CHILDREN = 3;

let directory: string;
let addon: string;
let node: string;

beforeAll(async () => {
  const test = await openTestHost();
  node = await programInLayers(test.base('node24').layers, 'usr/local/bin/node');
  await test.close();
  directory = await mkdtemp(join(tmpdir(), 'node-zygote-'));
  addon = await buildFork(directory);
});
afterAll(() => rm(directory, { recursive: true }));

/** Children of one zygote, by their tasks. */
async function children(tasks: readonly string[], options: Partial<ProbeOptions> = {}): Promise<Map<string, Child[]>> {
  const probed = await probe({ node, addon, flags: SINGLE_THREADED, tasks, children: CHILDREN, ...options });
  expect(probed.threads).toBeGreaterThan(1);
  return new Map(tasks.map((task) => [task, probed.children.filter((one) => one.task === task)]));
}
const ends = (some: readonly Child[] = []) => some.map(({ ended }) => ended);
const values = (some: readonly Child[] = []) => some.map(({ value }) => value);
const different = (some: readonly Child[] = []) => new Set(values(some)).size;
const all = <T>(value: T): T[] => Array.from({ length: CHILDREN }, () => value);

describe('a process that Node forked', () => {
  it('has lost the threads that Node does not do without, with V8 on one thread either', async () => {
    const found = await children(['threads', 'timed wait']);
    expect(values(found.get('threads'))).toEqual(all(1));
    expect(ends(found.get('timed wait'))).not.toContain(0); // the time-out is one of those threads' work
  });

  it('waits for them for ever, or crashes, where a program ends by itself, by process.exit() and by an error', async () => {
    const found = await children(['end', 'exit', 'error']);
    expect(ends(found.get('end'))).not.toContain(0);
    expect(ends(found.get('exit'))).not.toContain(0);
    expect(ends(found.get('error'))).not.toContain(1);
  });

  it('waits for them in collections and compilations, too, when V8 runs as it does everywhere', async () => {
    const tasks = ['collect', 'compile', 'wasm'];
    const found = await children(tasks, { flags: [] });
    expect(ends(tasks.flatMap((task) => found.get(task) ?? [])).filter((ended) => ended !== 0)).not.toEqual([]);
  });

  it('has not V8’s heap: V8 keeps it from forks', async () => {
    const found = await children(['nothing'], { isPlain: true });
    expect(ends(found.get('nothing'))).not.toContain(0);
  });

  it('has the next random numbers of its siblings, in new contexts, too', async () => {
    const found = await children(['random', 'random of a new context', 'uuid', 'bytes']);
    for (const task of ['random', 'random of a new context', 'uuid']) expect(different(found.get(task)), task).toBe(1);
    expect(different(found.get('bytes'))).toBe(CHILDREN);
  });

  it('believes that it has its parent’s id', async () => {
    expect(values((await children(['pid'])).get('pid'))).toEqual(all(false));
  });

  it('has its memory where its siblings have it, and where children of another do not', async () => {
    const [one, other] = await Promise.all([children(['layout']), children(['layout'])]);
    expect(different(one.get('layout'))).toBe(1);
    expect(different([...(one.get('layout') ?? []), ...(other.get('layout') ?? [])])).toBe(2);
  });

  it('otherwise works, with V8 on one thread: what is above is not the experiment’s own fault', async () => {
    const found = await children(['collect', 'compile', 'pool', 'web', 'worker', 'work', 'nothing']);
    for (const [task, some] of found) expect(ends(some), task).toEqual(all(0));
  });
});
