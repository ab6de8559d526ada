/**
 * 10,000 calls of 50 versions while versions come and aliases move: the right code answers each, nothing is ever in
 * an instance of something else, and nothing is left.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BlankInfo, InvocationRecord } from '../../services/core/invocations/types.ts';
import { type Holdings, readHoldings, untilHeld } from '../helpers/leaks.ts';
import { createLedger } from '../helpers/mixed/ledger.ts';
import { makePlan } from '../helpers/mixed/plan.ts';
import { codeOf, FUNCTIONS } from '../helpers/mixed/programs.ts';
import { type MixedRun, runMixed } from '../helpers/mixed/run.ts';
import { startTestPlatform, type TestPlatform } from '../helpers/platform.ts';
import { until } from '../helpers/until.ts';

const SEED = Number(process.env['WAFER_TEST_SEED'] ?? 4);
const CALLS = 10_000;
const VERSIONS = 5;
const CALLERS = 16;
/** Room for 96 instances: blanks come and go with it, and at times idle instances have to make way. */
const MEMORY_MB = '6144';

const ledger = createLedger();
let wafer: TestPlatform;
let before: Holdings;
let run: MixedRun;

async function removeAll(): Promise<void> {
  const { functions } = (await (await wafer.fetch('/v1/functions')).json()) as { functions: { name: string }[] };
  for (const { name } of functions) await wafer.remove(name);
}

/** Neither instances nor blanks. */
const untilEmpty = () =>
  until('there is no instance and no blank', async () => {
    const reply = await (await wafer.fetch('/v1/instances')).json();
    const { instances, blanks } = reply as { instances: unknown[]; blanks: BlankInfo[] };
    return instances.length === 0 && blanks.every(({ ready, booting }) => ready + booting === 0);
  });

beforeAll(async () => {
  wafer = await startTestPlatform({ WAFER_MEMORY_MB: MEMORY_MB });
  await removeAll();
  // What is made once (pools of the engine, connections) is there from now on.
  for (const one of FUNCTIONS) await wafer.deploy(one.name, codeOf(one, 'warm-up'), one.config);
  const event = { seq: 0, pauseMs: 0, fail: false, pad: '' };
  await Promise.all(FUNCTIONS.map(({ name }) => wafer.invoke(name, event)));
  await removeAll();
  await untilEmpty();
  before = await readHoldings(wafer);
  run = await runMixed(wafer, makePlan({ seed: SEED, calls: CALLS, versions: VERSIONS, moves: 60 }), ledger, CALLERS);
});
afterAll(async () => {
  await wafer?.stop();
});

describe(`${CALLS} mixed calls of ${FUNCTIONS.length * VERSIONS} versions (WAFER_TEST_SEED=${SEED})`, () => {
  it('are each answered by a version that was meant while the call ran, with the answer to that call', () => {
    expect(run.wrong).toEqual([]);
    expect(run.failed + run.versionOf.size).toBe(CALLS);
  });

  it('never meet an instance, a process or a sandbox that had to do with another version', () => {
    expect(ledger.faults()).toEqual([]);
  });

  it('went through every version, and through every kind of start', () => {
    expect([...ledger.seen()]).toHaveLength(FUNCTIONS.length * VERSIONS);
    // `run.ts` waits for blanks before the first call, and no blank fits `mixed-e`.
    expect(Object.keys(run.starts).sort()).toEqual(['blank', 'cold', 'warm']);
    expect(ledger.instances()).toBeGreaterThan(FUNCTIONS.length * VERSIONS);
  });

  it('are recorded with the version that answered and one instance of that version alone', async () => {
    const versionOfInstance = new Map<string, Set<string>>();
    for (const { name } of FUNCTIONS) {
      const reply = await wafer.fetch(`/v1/invocations?function=${name}&limit=999`);
      const { invocations } = (await reply.json()) as { invocations: InvocationRecord[] };
      expect(invocations.length).toBeGreaterThan(0);
      for (const { id, functionName, version, receipt } of invocations) {
        const instance = String(receipt?.instanceId);
        const named = `${functionName} v${version}`;
        versionOfInstance.set(instance, (versionOfInstance.get(instance) ?? new Set()).add(named));
        if (run.versionOf.has(id)) expect(named).toBe(run.versionOf.get(id));
      }
    }
    expect([...versionOfInstance].filter(([, versions]) => versions.size > 1)).toEqual([]);
  });

  it('leave no process, mount, open file, user id, cgroup or temporary file behind', async () => {
    await removeAll();
    await untilEmpty();
    expect(await untilHeld(wafer, before)).toEqual(before);
  });
});
