/** Functions with a volume beside the same ones without: warm, first, and what writing costs. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestPlatform } from '../../helpers/platform.ts';
import { TEST_DATA } from '../../helpers/test-data.ts';
import { until } from '../../helpers/until.ts';
import { openClient } from '../client.ts';
import { EVENT, invokePath, nodeCode, PREFIX, SMALL, untilQuiet } from '../functions.ts';
import { writeWhole } from '../peers/write-whole.ts';
import { atLeast, atMost, compare } from '../rows.ts';
import { summarize } from '../stats.ts';
import type { BenchContext, Line, Row } from '../types.ts';
import { firstCalls, times } from './first-calls.ts';

const VOLUME = 'bench-volume';
const WITH_VOLUME = { volumes: [{ volume: VOLUME, path: '/data', mode: 'rw' }] };
const PLAIN = 'the same function without a volume';
const BLOCK = 50;
const MIB = 1024 * 1024;
const WRITE_BYTES = 64 * MIB;

/** There is a volume as long as `measure` runs. */
async function withVolume(context: BenchContext, measure: (wafer: TestPlatform) => Promise<Row[]>): Promise<Row[]> {
  const wafer = await context.platform();
  const url = `/v1/volumes/${VOLUME}`;
  const body = { method: 'PUT', headers: { 'content-type': 'application/json' }, body: '{}' };
  const made = await wafer.fetch(url, body);
  if (made.status !== 201) throw new Error(`${url}: ${made.status} ${await made.text()}`);
  try {
    return await measure(wafer);
  } finally {
    for (const name of NAMES) await wafer.remove(name);
    await until('the volume is removed', async () => (await wafer.fetch(url, { method: 'DELETE' })).status === 204);
  }
}

const [MOUNTED, BARE, WRITER] = [`${PREFIX}with-volume`, `${PREFIX}no-volume`, `${PREFIX}volume-writer`];
const NAMES = [MOUNTED, BARE, WRITER];

const measureWarm = (context: BenchContext) =>
  withVolume(context, async (wafer) => {
    const client = openClient(wafer.url, { key: wafer.key });
    const samples: Record<string, number[]> = { [MOUNTED]: [], [BARE]: [] };
    const block = async (name: string, into: number[]) => {
      for (let call = 0; call < BLOCK; call++) into.push((await client.post(invokePath(name), EVENT)).ms);
    };
    try {
      await wafer.deploy(MOUNTED, nodeCode(1), { ...SMALL, ...WITH_VOLUME });
      await wafer.deploy(BARE, nodeCode(1), SMALL);
      // Compilers come to rest first.
      for (let round = 0; round < 10; round++) for (const name of [BARE, MOUNTED]) await block(name, []);
      for (let round = 0; round < context.count(60, 10); round++)
        for (const name of [BARE, MOUNTED]) await block(name, samples[name] ?? []);
      return [
        compare({
          what: 'warm call of a function with a volume',
          ours: samples[MOUNTED] ?? [],
          reference: { name: PLAIN, samples: samples[BARE] ?? [] },
          p50: atMost(1.1),
          p99: null,
          notes: [`blocks of ${BLOCK} in turn, one connection`],
        }),
      ];
    } finally {
      await client.close();
    }
  });

const measureFirst = (context: BenchContext) =>
  withVolume(context, async (wafer) => {
    const client = openClient(wafer.url, { key: wafer.key });
    try {
      const samples = await firstCalls(wafer, client, {
        name: MOUNTED,
        rounds: context.count(120, 20),
        expect: 'blank',
        deploy: async (round) => {
          await wafer.deploy(BARE, nodeCode(round), SMALL);
          await wafer.deploy(MOUNTED, nodeCode(round), { ...SMALL, ...WITH_VOLUME });
        },
        reference: async () => {
          const { ms, start } = await client.post(invokePath(BARE), EVENT);
          if (start !== 'blank') throw new Error(`the start of ${BARE} was ${start}, not blank`);
          await untilQuiet(wafer, { instances: 1 }); // there is another blank instead of the one that it took
          return ms;
        },
      });
      return [
        compare({
          what: 'first call of a function with a volume, a blank ready',
          ours: times(samples),
          reference: { name: PLAIN, samples: samples.reference },
          p50: atMost(1.3),
          p99: null,
          notes: [samples.pool, 'one at a time, each a new version; the platform is quiet before each'],
        }),
      ];
    } finally {
      await client.close();
    }
  });

const WRITER_CODE = `import { writeWhole } from './write-whole.ts';
export const handler = ({ bytes }: { bytes: number }) => writeWhole('/data/written', bytes);
`;

const measureWrites = (context: BenchContext) =>
  withVolume(context, async (wafer) => {
    const files = {
      'index.ts': WRITER_CODE,
      'write-whole.ts': await readFile(new URL('../peers/write-whole.ts', import.meta.url), 'utf8'),
    };
    await wafer.deploy(WRITER, files, { memoryMb: 512, ...WITH_VOLUME });
    const dir = await mkdtemp(join(TEST_DATA, 'bench-write-'));
    const [ours, theirs] = [[] as number[], [] as number[]];
    try {
      for (let round = 0; round <= context.count(15, 4); round++) {
        const there = writeWhole(join(dir, 'written'), WRITE_BYTES);
        const { status, body } = await wafer.invoke(WRITER, { bytes: WRITE_BYTES });
        if (status !== 200 || typeof body !== 'number') throw new Error(`${WRITER}: ${status} ${JSON.stringify(body)}`);
        if (round === 0) continue; // the first makes the files
        theirs.push(there);
        ours.push(body);
      }
    } finally {
      await rm(dir, { recursive: true });
    }
    const [mine, reference] = [summarize(ours), summarize(theirs)];
    const speed = (ms: number) => `${((WRITE_BYTES / MIB / ms) * 1000).toFixed(0)} MiB/s`;
    return [
      {
        what: `${WRITE_BYTES / MIB} MiB written to a volume and synced`,
        unit: 'ms',
        ours: mine,
        reference: { name: 'the same to a directory of the same disk, by the host', ...reference },
        figures: [{ what: 'throughput ratio', value: reference.p50 / mine.p50, target: atLeast(0.9) }],
        notes: [
          `${speed(mine.p50)} beside ${speed(reference.p50)}; mode rw, chunks of 1 MiB over the same file, fsync`,
        ],
      },
    ];
  });

export const lines: Line[] = [
  { name: 'volume-warm', group: 'volumes', about: 'warm calls with a volume', measure: measureWarm },
  { name: 'volume-first', group: 'volumes', about: 'first calls with a volume, a blank ready', measure: measureFirst },
  { name: 'volume-write', group: 'volumes', about: 'what writing to a volume costs', measure: measureWrites },
];
