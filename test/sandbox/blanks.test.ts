/** The blanks of a worker over a real engine: what they are made of, and what happens when they or the engine end. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Sandbox, SandboxHost, SandboxSpec } from '../../runtime/sandbox/index.ts';
import type { FunctionVersion } from '../../services/core/functions/types.ts';
import { createLog } from '../../services/core/log.ts';
import { type Blanks, createBlanks } from '../../services/worker/blanks/index.ts';
import type { InstancePlan } from '../../services/worker/instance-plan.ts';
import { until } from '../helpers/platform.ts';
import { openTestHost, type TestHost } from '../helpers/sandbox-host.ts';

let test: TestHost;
let host: SandboxHost;
let blanks: Blanks;
let made: Sandbox[];
let leases: number;
let freeMb: number;

beforeAll(async () => {
  test = await openTestHost();
});
afterAll(() => test?.close());
beforeEach(() => open(2));
afterEach(() => blanks.close());

/** What is made is written down; nothing else is different. */
function open(perBase: number): void {
  host = test.host;
  made = [];
  leases = 0;
  freeMb = 10_000;
  blanks = createBlanks({
    host: {
      async create(spec: SandboxSpec) {
        const sandbox = await host.create(spec);
        made.push(sandbox);
        return sandbox;
      },
    },
    images: {
      lease() {
        leases++;
        let held = true;
        return {
          release() {
            if (held) leases--;
            held = false;
          },
        };
      },
    },
    getBase: (name) => test.base(name),
    perBase,
    freeMb: () => freeMb,
    log: createLog({ level: 'silent' }),
  });
}

const version = (functionName: string, runtime: 'node' | 'python', tmpMb = 64): FunctionVersion =>
  ({
    functionName,
    number: 1,
    base: runtime === 'node' ? 'node24' : 'python3.11',
    config: { runtime, tmpMb },
  }) as FunctionVersion;
const plan = (base: string, layers = test.base(base).layers) =>
  ({ spec: { layers, codeLayers: ['c'] } }) as unknown as InstancePlan;
const count = (runtime: string) => blanks.list().find((one) => one.runtime === runtime) ?? { ready: 0, booting: 0 };
const whenReady = (runtime: string, ready: number) =>
  until(
    `${ready} ${runtime} blanks are ready`,
    async () => count(runtime).ready === ready && count(runtime).booting === 0,
  );

describe('blanks', () => {
  it('are made for the kinds that functions use, until the last of these is forgotten', async () => {
    blanks.use(version('one', 'node'));
    blanks.use(version('two', 'node'));
    blanks.use(version('three', 'python'));
    await Promise.all([whenReady('node', 2), whenReady('python', 2)]);
    blanks.forget('one');
    blanks.forget('three');
    expect(blanks.list().map(({ runtime }) => runtime)).toEqual(['node']);
    blanks.use(version('two', 'python')); // it has another runtime now
    expect(blanks.list().map(({ runtime }) => runtime)).toEqual(['python']);
    await whenReady('python', 2);
    await until('the others are gone', async () => (await host.engineStats()).sandboxes === 2);
    await blanks.close();
    expect((await host.engineStats()).sandboxes).toBe(0);
    expect(leases).toBe(0);
  });

  it('are given away once each, and followed by others', async () => {
    blanks.use(version('one', 'node'));
    await whenReady('node', 2);
    const take = () => blanks.take(version('one', 'node'), plan('node24'));
    const [first, second, third] = [take(), take(), take()];
    expect(first?.sandbox.id).toBeDefined();
    expect(second?.sandbox.id).not.toBe(first?.sandbox.id);
    expect(third).toBeUndefined();
    await whenReady('node', 2);
    expect(made).toHaveLength(4);
    await Promise.all([first, second].map((one) => one?.sandbox.destroy()));
  });

  it('are not for a version over other layers, with another /tmp, or of another runtime', async () => {
    blanks.use(version('one', 'node'));
    await whenReady('node', 2);
    expect(blanks.take(version('one', 'node'), plan('node24', ['other']))).toBeUndefined();
    expect(blanks.take(version('one', 'node', 65), plan('node24'))).toBeUndefined();
    expect(blanks.take(version('one', 'python'), plan('python3.11'))).toBeUndefined();
    expect(count('node').ready).toBe(2);
  });

  it('are replaced when they die', async () => {
    blanks.use(version('one', 'node'));
    await whenReady('node', 2);
    const [dying] = made;
    await dying?.signal(9);
    await dying?.exited;
    await until('it is seen', async () => count('node').ready === 1);
    await whenReady('node', 2);
    const taken = blanks.take(version('one', 'node'), plan('node24'));
    expect(taken?.sandbox.id).not.toBe(dying?.id);
    await taken?.sandbox.destroy();
  });

  it('make way when instances need their memory, and come back', async () => {
    blanks.use(version('one', 'node'));
    await whenReady('node', 2);
    freeMb = 100; // room for one
    const taken = blanks.take(version('one', 'node'), plan('node24'));
    expect(taken).toBeDefined();
    await taken?.sandbox.destroy();
    freeMb = 0;
    expect(blanks.take(version('two', 'python'), plan('python3.11'))).toBeUndefined();
    await until('none is left', async () => (await host.engineStats()).sandboxes === 0);
    freeMb = 1_000;
    await whenReady('node', 2);
  });

  it('are none when none are wanted', async () => {
    await blanks.close();
    open(0);
    blanks.use(version('one', 'node'));
    expect(blanks.list()).toEqual([]);
    expect(blanks.take(version('one', 'node'), plan('node24'))).toBeUndefined();
  });
});
