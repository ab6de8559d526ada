/**
 * Transactions while writers are killed at any moment, their invocations are tried again, and readers look all the time: a reader sees whole states only, and what is
 * there at the end is what a model says. `WAFER_TX_ROUNDS` makes it thousands.
 */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Sandbox, ShownVolume } from '../../runtime/sandbox/index.ts';
import { LightSignal } from '../../services/core/invocations/light-signal.ts';
import { createLog } from '../../services/core/log.ts';
import { openVolumeRecords } from '../../services/core/volumes/records.ts';
import type { TxPolicy } from '../../services/core/volumes/types.ts';
import { createVolumeRoom } from '../../services/worker/volumes/limits.ts';
import { createVolumeService } from '../../services/worker/volumes/service.ts';
import { createVolumeShelf, type VolumeShelf } from '../../services/worker/volumes/shelf.ts';
import { createVolumeTally, type VolumeTally } from '../../services/worker/volumes/tally.ts';
import { createTransactions, type Transaction, type Transactions } from '../../services/worker/volumes/transactions.ts';
import { createUsers } from '../../services/worker/volumes/users.ts';
import { openTestHost, type TestHost } from '../helpers/sandbox-host.ts';
import { until } from '../helpers/until.ts';

const ROUNDS = Number(process.env['WAFER_TX_ROUNDS'] ?? 60);
const FILES = 6;
const ENV = { PATH: '/usr/bin:/bin' };
const NAME = 'states';

let test: TestHost;
let dir: string;
let shelf: VolumeShelf;
let transactions: Transactions;
let tally: VolumeTally;
let service: ReturnType<typeof createVolumeService>;
let next = 0;
const live = new Set<Sandbox>();

beforeAll(async () => {
  test = await openTestHost();
});
afterAll(() => test.close());
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'wafer-tx-'));
  await open();
});
afterEach(async () => {
  await Promise.all([...live].map((one) => one.destroy()));
  await transactions.settled();
  for (const { name } of shelf.all()) await shelf.remove(name, () => {});
  await shelf.settled();
  await rm(dir, { recursive: true });
});

async function open(): Promise<void> {
  const log = createLog({ level: 'silent' });
  const host = test.host.volumes;
  shelf = createVolumeShelf({ host, records: await openVolumeRecords(dir), log });
  tally = createVolumeTally();
  const room = createVolumeRoom({ namespaceVolumesMb: null }, () => 0);
  transactions = createTransactions({ host, shelf, room, tally, log });
  const functions = { list: async () => [], resolve: () => Promise.reject(new Error('there is none')) };
  service = createVolumeService({ host, shelf, transactions, users: createUsers(functions), room, tally });
}

async function start(shown: ShownVolume): Promise<Sandbox> {
  const sandbox = await test.host.create({
    id: `tx${process.pid}-${next++}`,
    profile: 'function',
    layers: test.base('debian12').layers,
    argv: ['sleep', '600'],
    env: ENV,
    pids: 64,
    points: ['/data'],
  });
  live.add(sandbox);
  void sandbox.exited.then(() => live.delete(sandbox));
  await sandbox.mount([shown]);
  return sandbox;
}

async function sh(sandbox: Sandbox, script: string): Promise<{ status: number | null; out: string }> {
  let out = '';
  const { status } = await sandbox.exec(['sh', '-c', script], {
    env: ENV,
    onOutput(_stream, chunk) {
      out += chunk.toString();
    },
  });
  return { status, out };
}

async function begin(invocationId: string): Promise<Transaction> {
  const begun = await transactions.begin({ volume: NAME, invocationId, signal: new LightSignal(), waitMs: 60_000 });
  if ('kind' in begun) throw new Error(begun.message);
  return begun;
}

const writerOf = ({ layers, upper }: Transaction) => start({ point: 0, layers, mode: { upper } });
/** Every file says the number of the state, and there is a directory that each state makes anew. */
const script = (state: number) =>
  `cd /data || exit 1; for f in $(seq ${FILES}); do echo ${state} > f$f || exit 1; done; rm -rf d; mkdir d && echo ${state} > d/x && rm -f odd && [ ${state % 2} = 0 ] || echo ${state} > odd`;
const LOOK = 'cd /data && cat f* d/x odd 2>/dev/null; true';

async function create(policy: TxPolicy): Promise<void> {
  await service.create(NAME, { transactions: policy });
}

/** What a new reader sees: the numbers in the files. */
async function look(sandbox?: Sandbox): Promise<number[]> {
  const { layers } = shelf.resolve(NAME);
  const release = shelf.hold(layers);
  const shown: ShownVolume = { point: 0, layers: layers.map(({ id }) => id), mode: 'ro' };
  try {
    if (sandbox !== undefined) {
      await sandbox.mount([shown]);
      return numbersOf((await sh(sandbox, LOOK)).out);
    }
    const reader = await start(shown);
    const { out } = await sh(reader, LOOK);
    await reader.destroy();
    return numbersOf(out);
  } finally {
    release();
  }
}

const numbersOf = (out: string) => out.split('\n').filter(Boolean).map(Number);
const wholeOf = (state: number) => (state === 0 ? [] : new Array<number>(FILES + 1 + (state % 2)).fill(state));

/** Sometimes the writer is killed after a random part of the time that a whole one takes. */
async function attempt(state: number, invocationId: string, usualMs: number): Promise<boolean> {
  const transaction = await begin(invocationId);
  try {
    const writer = await writerOf(transaction);
    const killer =
      Math.random() < 0.6 ? setTimeout(() => void writer.destroy(), Math.random() * usualMs * 1.2) : undefined;
    const { status } = await sh(writer, script(state)).catch(() => ({ status: null }));
    clearTimeout(killer);
    await writer.destroy();
    if (status !== 0) return false;
    expect(await transaction.commit()).toBeNull();
    return true;
  } finally {
    await transaction.discard();
  }
}

describe('transactions of a volume', () => {
  it(`show readers whole states only, over ${ROUNDS} writers that are killed at any moment`, async () => {
    await create('exclusive');
    let model = 0;
    let isOver = false;
    const began = performance.now();
    expect(await attemptWhole(1)).toBe(true);
    model = 1;
    const usualMs = performance.now() - began;
    const readers = [0, 1].map(async () => {
      const { layers } = shelf.resolve(NAME);
      const reader = await start({ point: 0, layers: layers.map(({ id }) => id), mode: 'ro' });
      let looks = 0;
      while (!isOver) {
        const least = model;
        const seen = await look(reader);
        expect(seen).toEqual(wholeOf(seen[0] ?? -1));
        expect(seen[0]).toBeGreaterThanOrEqual(least);
        looks++;
      }
      return looks;
    });
    for (let state = 2; state <= ROUNDS; state++) {
      const id = `inv-${state}`;
      if (!(await attempt(state, id, usualMs))) continue;
      model = state;
      // The platform was lost before it knew: the next attempt of the same invocation adds nothing.
      if (state % 5 !== 0) continue;
      await attempt(state + 1_000_000, id, usualMs * 100);
      expect(await look()).toEqual(wholeOf(model));
    }
    isOver = true;
    for (const looks of await Promise.all(readers)) expect(looks).toBeGreaterThan(0);
    expect(await look()).toEqual(wholeOf(model));
    await open(); // what a restart reads
    expect(await look()).toEqual(wholeOf(model));
  }, 3_600_000);

  const attemptWhole = async (state: number) => {
    const transaction = await begin(`whole-${state}`);
    const writer = await writerOf(transaction);
    const { status } = await sh(writer, script(state));
    await writer.destroy();
    const failure = await transaction.commit();
    return status === 0 && failure === null;
  };

  it('of optimistic writers that overlap keep one, and the other is told', async () => {
    await create('optimistic');
    const [a, b] = [await begin('a'), await begin('b')];
    for (const [state, transaction] of [
      [1, a],
      [2, b],
    ] as const) {
      const writer = await writerOf(transaction);
      await sh(writer, script(state));
      await writer.destroy();
    }
    expect(await b.commit()).toBeNull();
    expect(await a.commit()).toMatchObject({ kind: 'volume_conflict' });
    expect(await look()).toEqual(wholeOf(2));
    expect(tally.counts()).toMatchObject({
      commits: { kept: 1, unchanged: 0 },
      discards: { volume_conflict: 1, aborted: 0 },
      conflicts: { exclusive: 0, optimistic: 1 },
    });
  });

  it('of an optimistic writer that wrote nothing conflict with nobody', async () => {
    await create('optimistic');
    const idle = await begin('idle');
    expect(await attemptWhole(1)).toBe(true);
    expect(await idle.commit()).toBeNull();
    expect(tally.counts().commits).toEqual({ kept: 1, unchanged: 1, repeated: 0 });
    expect(await look()).toEqual(wholeOf(1));
  });

  it('keep snapshots as they were, and go back to them', async () => {
    await create('exclusive');
    await attemptWhole(1);
    await service.snapshot(NAME, 'one');
    for (let state = 2; state < 12; state++) await attemptWhole(state);
    expect(await look()).toEqual(wholeOf(11));
    await service.rollback(NAME, 'one');
    expect(await look()).toEqual(wholeOf(1));
  });

  it('leave nothing but the layers of the state', async () => {
    const before = new Set(await readdir(test.volumesDir)); // what an earlier run left that was killed
    await create('exclusive');
    for (let state = 1; state < 10; state++) await attemptWhole(state);
    const discarded = await begin('discarded');
    await discarded.discard();
    await transactions.settled();
    const own = new Set(shelf.all().flatMap(({ layers }) => layers.map(({ id }) => id)));
    await until('what is not of the state is gone', async () => {
      const there = (await readdir(test.volumesDir)).filter((one) => one.startsWith('_') && !before.has(one));
      return there.every((one) => own.has(one));
    });
    expect(own.size).toBeLessThan(9);
  });
});
