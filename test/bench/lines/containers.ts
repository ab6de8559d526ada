/** The first call of a small function beside starting the same program in the containers of others. */
import { openClient } from '../client.ts';
import { nodeCode, PREFIX, SMALL } from '../functions.ts';
import { isHere, openPodman, openRunc, writeProgram } from '../peers/containers.ts';
import { atLeast, compare, notHere } from '../rows.ts';
import type { BenchContext, Line, Row } from '../types.ts';
import { firstCalls, times } from './first-calls.ts';

const WHAT = 'first call of a small Node function over HTTP, beside';

interface Beside {
  name: string;
  run: () => Promise<number>;
  rounds: number;
  times: number;
}

async function measureBeside(context: BenchContext, peer: Beside): Promise<Row> {
  const wafer = await context.platform();
  const client = openClient(wafer.url, { key: wafer.key });
  const name = `${PREFIX}beside`;
  try {
    const samples = await firstCalls(wafer, client, {
      name,
      rounds: peer.rounds,
      expect: 'blank',
      deploy: (round) => wafer.deploy(name, nodeCode(round), SMALL),
      reference: peer.run,
    });
    return compare({
      what: `${WHAT} ${peer.name}`,
      ours: times(samples),
      reference: { name: peer.name, samples: samples.reference },
      faster: atLeast(peer.times),
      notes: [samples.pool],
    });
  } finally {
    await client.close();
  }
}

async function measurePodman(context: BenchContext): Promise<Row[]> {
  await context.platform();
  const podman = await openPodman(await context.reference(), await writeProgram(context.dir));
  if ('missing' in podman) return [notHere(`${WHAT} podman run, rootless`, podman.missing)];
  try {
    const { name, run } = podman;
    return [await measureBeside(context, { name, run, rounds: context.count(25, 5), times: 20 })];
  } finally {
    await podman.close();
  }
}

async function measureRunc(context: BenchContext): Promise<Row[]> {
  await context.platform();
  const peer = await openRunc(context.dir, await context.reference());
  if (!isHere(peer)) return [notHere(`${WHAT} runc run, rootless`, peer.missing)];
  return [await measureBeside(context, { ...peer, rounds: context.count(40, 8), times: 4 })];
}

export const lines: Line[] = [
  { name: 'podman', group: 'containers', about: 'beside rootless podman run', measure: measurePodman },
  { name: 'runc', group: 'containers', about: 'beside rootless runc run (or crun)', measure: measureRunc },
];
