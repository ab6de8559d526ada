/** A deploy until its first answered call, beside building and running an image; and what a deploy adds to the disk. */
import { execFileSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestPlatform } from '../../helpers/platform.ts';
import { TEST_DATA } from '../../helpers/test-data.ts';
import { type Client, openClient } from '../client.ts';
import { EVENT, invokePath, nodeCode, PREFIX, poolText, SMALL, untilQuiet } from '../functions.ts';
import { openPodman, type Podman, PROGRAM, writeProgram } from '../peers/containers.ts';
import { atMost, below, compare, notHere } from '../rows.ts';
import { summarize, timed } from '../stats.ts';
import type { BenchContext, Line, Row } from '../types.ts';

const NAME = `${PREFIX}deploy`;
const WHAT = 'deploy of a small function, from the request to its first answered call';
const MAX_ADDED = 64 * 1024;
/** Deploys whose disk is measured: that is a walk over the whole store. */
const MEASURED = 10;

/** Blocks on disk of the whole store; folders of base images that this user can not read do not change. */
function storeBytes(): number {
  const script = `du -s --block-size=1 '${join(TEST_DATA, 'store')}' 2>/dev/null | cut -f1`;
  return Number(execFileSync('sh', ['-c', script], { encoding: 'utf8' }));
}

async function measure(context: BenchContext): Promise<Row[]> {
  const wafer = await context.platform();
  const reference = await context.reference();
  const folder = await writeProgram(context.dir);
  const podman = await openPodman(reference, folder);
  const client = openClient(wafer.url, { key: wafer.key });
  try {
    const samples: Samples = { ours: [], theirs: [], added: [], pool: '' };
    for (let round = 0; round <= context.count(40, 8); round++) {
      await oneDeploy(wafer, client, round, samples);
      // Its counterpart takes twenty times as long: every fourth time is enough.
      if ('missing' in podman || round % 4 !== 1) continue;
      samples.theirs.push(await buildAndRun(podman, folder, round));
    }
    return toRows(samples, podman);
  } finally {
    await client.close();
    if (!('missing' in podman)) await podman.close();
  }
}

interface Samples {
  ours: number[];
  theirs: number[];
  added: number[];
  pool: string;
}

async function oneDeploy(wafer: TestPlatform, client: Client, round: number, samples: Samples): Promise<void> {
  const body = JSON.stringify({ config: SMALL, files: nodeCode(`deploy ${round}`) });
  if (round > 0) samples.pool = poolText(await untilQuiet(wafer, { instances: 1 }));
  const isMeasured = round <= MEASURED;
  const before = isMeasured ? storeBytes() : 0;
  const ms = await timed(async () => {
    await client.put(`/v1/functions/${NAME}`, body);
    await client.post(invokePath(NAME), EVENT);
  });
  if (round === 0) return; // the first of all pays for what is loaded once
  samples.ours.push(ms);
  if (isMeasured) samples.added.push(storeBytes() - before);
}

async function buildAndRun(podman: Podman, folder: string, round: number): Promise<number> {
  await writeFile(join(folder, 'index.mjs'), `${PROGRAM['index.mjs']}// ${round}\n`);
  return (await podman.build()) + (await podman.run());
}

function toRows({ ours, theirs, added, pool }: Samples, podman: Podman | { missing: string }): Row[] {
  const mine = summarize(ours);
  const bytes = summarize(added);
  return [
    {
      what: WHAT,
      unit: 'ms',
      ours: mine,
      reference: null,
      figures: [{ what: 'p50 ms', value: mine.p50, target: atMost(50) }],
      notes: [pool, 'one file, sent inline'],
    },
    'missing' in podman
      ? notHere(`${WHAT}, beside buildah bud + podman run`, podman.missing, mine)
      : compare({
          what: `${WHAT}, beside buildah bud + podman run`,
          ours,
          reference: { name: `buildah bud of two lines + ${podman.name}`, samples: theirs },
          p50: atMost(0.05),
        }),
    {
      what: 'disk that each further deploy of a small function adds',
      unit: 'bytes',
      ours: bytes,
      reference: null,
      figures: [{ what: 'largest, bytes', value: Math.max(...added), target: below(MAX_ADDED) }],
      notes: ['blocks of the whole store'],
    },
  ];
}

export const lines: Line[] = [
  { name: 'deploy', group: 'deploy', about: 'deploy until the first answered call', measure },
];
