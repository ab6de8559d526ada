/** The blanks of a worker over a real engine: what they are made of, and what happens when they or the engine end. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Sandbox, SandboxHost, SandboxSpec } from '../../runtime/sandbox/index.ts';
import type { FunctionVersion } from '../../services/core/functions/types.ts';
import { createLog } from '../../services/core/log.ts';
import { type Blanks, createBlanks } from '../../services/worker/blanks/index.ts';
import { createBootQueue } from '../../services/worker/instances/boot-queue.ts';
import type { InstancePlan } from '../../services/worker/instances/plan.ts';
import { openTestHost, type TestHost } from '../helpers/sandbox-host.ts';
import { until } from '../helpers/until.ts';

let test: TestHost;
let host: SandboxHost;
let blanks: Blanks;
let made: Sandbox[];
let leases: number;
let freeMb: number;
/** Asked before each sandbox is made. */
let gate: () => Promise<void>;

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
  gate = async () => {};
  blanks = createBlanks({
    host: {
      async create(spec: SandboxSpec) {
        await gate();
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
    queue: createBootQueue({ atOnce: 2 }),
    freeMb: () => freeMb,
    log: createLog({ level: 'silent' }),
  });
}

const version = (functionName: string, runtime: 'node' | 'python'): FunctionVersion =>
  ({
    functionName,
    number: 1,
    base: runtime === 'node' ? 'node24' : 'python3.11',
    config: { runtime },
  }) as FunctionVersion;
const plan = (base: string, layers = test.base(base).layers) =>
  ({ spec: { layers, codeLayers: ['c'] } }) as unknown as InstancePlan;
const always = () => true;
const take = (isWanted = always) => blanks.take(version('one', 'node'), plan('node24'), isWanted);
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
    const [first, second] = await Promise.all([take(), take()]);
    expect([first?.waited, second?.waited]).toEqual([false, false]);
    expect(second?.held.sandbox.id).not.toBe(first?.held.sandbox.id);
    await whenReady('node', 2);
    expect(made).toHaveLength(4);
    await Promise.all([first, second].map((one) => one?.held.sandbox.destroy()));
  });

  it('are not for a version over other layers, or of another runtime', async () => {
    blanks.use(version('one', 'node'));
    await whenReady('node', 2);
    expect(await blanks.take(version('one', 'node'), plan('node24', ['other']), always)).toBeUndefined();
    expect(await blanks.take(version('one', 'python'), plan('python3.11'), always)).toBeUndefined();
    expect(count('node').ready).toBe(2);
  });

  it('are given to calls that wait in the order in which these came, and nothing boots twice for them', async () => {
    blanks.use(version('one', 'node'));
    await whenReady('node', 2);
    freeMb = 15; // none is made ahead, and only one of the two stays until it is taken
    const order: number[] = [];
    const calls = Array.from({ length: 9 }, async (_, at) => {
      const taken = await take();
      order.push(at);
      return taken;
    });
    const taken = await Promise.all(calls);
    expect(made).toHaveLength(2 + 8);
    expect(order).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    expect(taken.map((one) => one?.waited)).toEqual([false, ...Array(8).fill(true)]);
    expect(new Set(taken.map((one) => one?.held.sandbox.id)).size).toBe(9);
    for (const one of taken) await one?.held.sandbox.destroy();
    await blanks.close();
    expect(leases).toBe(0);
  });

  it('do not boot for a call that was served otherwise while it waited', async () => {
    const gates: (() => void)[] = [];
    gate = () => new Promise((resolve) => gates.push(resolve));
    blanks.use(version('one', 'node'));
    const calls = [take(), take(), take(() => false), take(() => false)];
    await until('two boot', () => gates.length >= 2);
    for (const open of gates.splice(0, 2)) open();
    const taken = await Promise.all(calls);
    expect(taken.map((one) => one?.waited)).toEqual([true, true, undefined, undefined]);
    // What boots for the shelf is held at the gate.
    expect(made.length).toBe(2);
    gate = async () => {};
    for (const open of gates) open();
    for (const one of taken) await one?.held.sandbox.destroy();
  });

  it('that boot for the shelf go to a call that comes meanwhile', async () => {
    const gates: (() => void)[] = [];
    gate = () => new Promise((resolve) => gates.push(resolve));
    blanks.use(version('one', 'node'));
    await until('both boot', () => gates.length >= 2);
    const waiting = take();
    gate = async () => {};
    for (const open of gates) open();
    expect(await waiting).toMatchObject({ waited: true });
    await whenReady('node', 2);
    expect(made).toHaveLength(3);
    await (await waiting)?.held.sandbox.destroy();
  });

  it('are more after a burst, within the memory that there is', async () => {
    blanks.use(version('one', 'node'));
    await whenReady('node', 2);
    const taken = await Promise.all(Array.from({ length: 8 }, () => take()));
    for (const one of taken) await one?.held.sandbox.destroy();
    await until('there are as many as were wanted at once', () => count('node').ready >= 6);
    freeMb = 4 * 16;
    const last = await take();
    await last?.held.sandbox.destroy();
    await whenReady('node', 2);
  });

  it('leave a call to start cold when none boots', async () => {
    await blanks.close();
    open(2);
    gate = () => Promise.reject(new Error('no more sandboxes'));
    blanks.use(version('one', 'node'));
    expect(await Promise.all([take(), take(), take()])).toEqual([undefined, undefined, undefined]);
    gate = async () => {};
    await until('they boot again', () => count('node').ready >= 2);
  });

  it('are replaced when they die', async () => {
    blanks.use(version('one', 'node'));
    await whenReady('node', 2);
    const [dying] = made;
    await dying?.signal(9);
    await dying?.exited;
    await until('it is seen', async () => count('node').ready === 1);
    await whenReady('node', 2);
    const taken = await take();
    expect(taken?.held.sandbox.id).not.toBe(dying?.id);
    await taken?.held.sandbox.destroy();
  });

  it('make way when instances need their memory, and come back', async () => {
    blanks.use(version('one', 'node'));
    await whenReady('node', 2);
    freeMb = 20; // room for one
    const taken = await take();
    expect(taken).toBeDefined();
    await taken?.held.sandbox.destroy();
    freeMb = 0;
    expect(await blanks.take(version('two', 'python'), plan('python3.11'), always)).toBeUndefined();
    await until('none is left', async () => (await host.engineStats()).sandboxes === 0);
    freeMb = 1_000;
    await whenReady('node', 2);
  });

  it('are none when none are wanted', async () => {
    await blanks.close();
    open(0);
    blanks.use(version('one', 'node'));
    expect(blanks.list()).toEqual([]);
    expect(await take()).toBeUndefined();
  });
});
