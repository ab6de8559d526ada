/**
 * What the engine takes to make a sandbox, to attach code to it and to end it, beside how many others live:
 * idle ones with one small program each. Beside them, in the same round, a bare process, which shows what the
 * machine itself had to give at that time. Needs no platform; one may run.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Sandbox, SandboxHost, SandboxSpec } from '../../runtime/sandbox/index.ts';
import { makeTar, streamOf } from '../helpers/make-tar.ts';
import { openTestHost } from '../helpers/sandbox-host.ts';
import { type Summary, summarize, timed } from './stats.ts';

export interface EngineRow {
  /** Sandboxes that lived meanwhile. */
  live: number;
  create: Summary;
  attach: Summary;
  /** Until nothing of it runs any more. */
  destroy: Summary;
  /** `/bin/true`, without a sandbox. */
  process: Summary;
}

const MIB = 1024 * 1024;

/** `live` ascending. @throws when one of the sandboxes can not be made */
export async function measureEngine(
  rounds = 100,
  live: readonly number[] = [1, 100, 500, 1_000],
): Promise<EngineRow[]> {
  const test = await openTestHost();
  const layer = `bench-${randomBytes(6).toString('hex')}`;
  const idle: Sandbox[] = [];
  try {
    await test.host.unpack(layer, streamOf(makeTar({ 'function/': null, 'function/a': 'a\n' })));
    const spec = idleFunction(test.base('node24').layers);
    const rows: EngineRow[] = [];
    for (const count of live) {
      while (idle.length < count) idle.push(await test.host.create({ ...spec, id: `bench-live-${idle.length}` }));
      rows.push({ live: count, ...(await measureRounds(test.host, spec, layer, rounds)) });
    }
    return rows;
  } finally {
    await Promise.all(idle.map((sandbox) => sandbox.destroy()));
    await test.host.removeLayer(layer);
    await test.close();
  }
}

const idleFunction = (layers: string[]): Omit<SandboxSpec, 'id'> => ({
  profile: 'function',
  layers,
  argv: ['/bin/sleep', 'infinity'],
  env: {},
  memoryBytes: 64 * MIB,
  pids: 16,
});

async function measureRounds(host: SandboxHost, spec: Omit<SandboxSpec, 'id'>, layer: string, rounds: number) {
  const samples = { create: [] as number[], attach: [] as number[], destroy: [] as number[], process: [] as number[] };
  for (let round = 0; round < rounds; round++) {
    samples.process.push(await timed(bareProcess));
    const began = performance.now();
    const sandbox = await host.create({ ...spec, id: 'bench-measured' });
    samples.create.push(performance.now() - began);
    samples.attach.push(await timed(() => sandbox.attach({ codeLayers: [layer], memoryBytes: 32 * MIB })));
    samples.destroy.push(await timed(() => sandbox.destroy()));
  }
  const { create, attach, destroy, process } = samples;
  return {
    create: summarize(create),
    attach: summarize(attach),
    destroy: summarize(destroy),
    process: summarize(process),
  };
}

async function bareProcess(): Promise<void> {
  const child = spawn('/bin/true', { env: {}, stdio: 'ignore' });
  await once(child, 'close');
}
