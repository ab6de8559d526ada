/** The worker's zygotes over a real engine: what they are used for, and what happens when they end. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  type Sandbox,
  SandboxError,
  type SandboxSpec,
  type Zygote,
  type ZygoteSpec,
} from '../../runtime/sandbox/index.ts';
import { createLog } from '../../services/core/log.ts';
import { BASE_ENV, PROGRAMS } from '../../services/worker/instances/plan.ts';
import { createZygotes, type Zygotes } from '../../services/worker/zygotes/index.ts';
import { pythonSpec } from '../helpers/python-zygote.ts';
import { openTestHost, type TestHost } from '../helpers/sandbox-host.ts';
import { until } from '../helpers/until.ts';

let test: TestHost;
let layers: string[];
let zygotes: Zygotes;
let made: Zygote[];
let starts: ZygoteSpec[];
let startFails: boolean;
let leases: number;
let next = 0;

beforeAll(async () => {
  test = await openTestHost();
  layers = test.base('python3.11').layers;
});
afterAll(() => test?.close());
beforeEach(() => open());
afterEach(() => zygotes.close());

function open(forks?: number): void {
  made = [];
  starts = [];
  leases = 0;
  startFails = false;
  zygotes = createZygotes({
    host: {
      create: (spec) => test.host.create(spec),
      async startZygote(spec) {
        starts.push(spec);
        if (startFails) throw new SandboxError('zygote_failed', 'zygote', 'not today');
        const zygote = await test.host.startZygote(spec);
        made.push(zygote);
        return zygote;
      },
    },
    images: {
      lease() {
        leases++;
        return { release: () => void leases-- };
      },
    },
    bases: () => [test.base('node24'), test.base('python3.11')],
    log: createLog({ level: 'silent' }),
    ...(forks === undefined ? {} : { forks }),
  });
}

/** Made, looked at, and destroyed. */
async function once(spec: Partial<SandboxSpec> = {}): Promise<Sandbox> {
  const sandbox = await zygotes.create({ ...pythonSpec(`worker-zygote-${next++}`, layers), ...spec });
  await sandbox.destroy();
  return sandbox;
}
const untilForked = () => until('a zygote makes programs', async () => (await once()).fork === true);

describe('the zygotes of a worker', () => {
  it('make programs of Python once they are ready; until then these are executed', async () => {
    expect((await once()).fork).toBeUndefined();
    await untilForked();
    expect(starts).toHaveLength(1);
    expect(starts[0]?.layers).toEqual(layers);
    expect(leases).toBe(1);
    await zygotes.close();
    expect(leases).toBe(0);
    expect((await once()).fork).toBeUndefined();
  });

  it('make nothing else: other programs, environments, roots and profiles are executed', async () => {
    await untilForked();
    const node = { argv: PROGRAMS.node, layers: test.base('node24').layers };
    expect((await once(node)).fork).toBeUndefined();
    expect((await once({ argv: ['python3', '-c', 'pass'] })).fork).toBeUndefined();
    expect((await once({ env: { ...BASE_ENV, LANG: 'C' } })).fork).toBeUndefined();
    expect((await once({ layers: [...layers, ...test.base('node24').layers.slice(-1)] })).fork).toBeUndefined();
    expect(starts).toHaveLength(1);
  });

  it('are followed by others when they die', async () => {
    await untilForked();
    const [first] = made;
    process.kill(first?.pid ?? 0, 'SIGKILL');
    await first?.exited;
    await untilForked();
    expect(made).toHaveLength(2);
    expect(leases).toBe(1);
  });

  it('are followed by others after so many programs, so that not all have one layout of memory', async () => {
    await zygotes.close();
    open(3);
    await untilForked();
    await until('another is there', async () => {
      await once();
      return made.length >= 2;
    });
    await made[0]?.exited;
    await untilForked();
  });

  it('that can not be started are tried again after a while; programs are executed meanwhile', async () => {
    startFails = true;
    const began = Date.now();
    for (let count = 0; count < 5; count++) expect((await once()).fork).toBeUndefined();
    expect(starts.length).toBeLessThanOrEqual(1 + Math.floor((Date.now() - began) / 1000)); // a second between
    expect(leases).toBe(0);
    startFails = false;
    await untilForked();
  });

  it('that stand still are given up, and the program is executed', async () => {
    await untilForked();
    const [first] = made;
    process.kill(first?.pid ?? 0, 'SIGSTOP');
    expect((await once()).fork).toBeUndefined();
    await first?.exited;
  });

  it('end with the engine, and others come with the next', async () => {
    const own = await test.openHost();
    const mine = createZygotes({
      host: own,
      images: { lease: () => ({ release() {} }) },
      bases: () => [test.base('python3.11')],
      log: createLog({ level: 'silent' }),
    });
    const make = () => mine.create(pythonSpec(`worker-zygote-${next++}`, layers));
    await until('one is forked', async () => (await make()).fork === true);
    process.kill(own.info.pid, 'SIGKILL');
    await expect(until('it fails', async () => (await make()) === undefined)).rejects.toThrow();
    await mine.close();
    await own.close();
  });
});
