/** The first call of a function with a large bundle beside loading the same file in a bare node. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { openClient } from '../client.ts';
import { PREFIX, SMALL } from '../functions.ts';
import { makeBundle } from '../peers/bundle.ts';
import { CLEAN_ENV } from '../peers/reference.ts';
import { atMost, compare } from '../rows.ts';
import type { BenchContext, Line, Row } from '../types.ts';
import { firstCalls, phasesText, times } from './first-calls.ts';

const exec = promisify(execFile);

const REQUIRE =
  'const began = performance.now(); require(process.argv[1]); process.stdout.write(String(performance.now() - began)); process.exit()';

async function measure(context: BenchContext): Promise<Row[]> {
  const wafer = await context.platform();
  const { node } = await context.reference();
  const { path, text, bytes } = await makeBundle(context.dir);
  const client = openClient(wafer.url, { key: wafer.key });
  const name = `${PREFIX}bundle`;
  try {
    const samples = await firstCalls(wafer, client, {
      name,
      rounds: context.count(40, 8),
      expect: 'blank',
      deploy: (round) =>
        wafer.deploy(name, { 'index.cjs': `${text}exports.round = ${round};\n` }, { ...SMALL, memoryMb: 128 }),
      reference: async () => Number((await exec(node, ['-e', REQUIRE, path], { env: CLEAN_ENV })).stdout),
    });
    return [
      compare({
        what: 'first call of a function with a 1.5 MB bundle over HTTP, a blank ready',
        ours: times(samples),
        reference: { name: 'require() of the file, no code cache', samples: samples.reference },
        p50: atMost(0.55),
        notes: [
          samples.pool,
          phasesText(samples),
          `fastify and 50 modules, ${(bytes / 1e6).toFixed(2)} MB, not minified`,
        ],
      }),
    ];
  } finally {
    await client.close();
  }
}

export const lines: Line[] = [
  { name: 'bundle', group: 'calls', about: 'first call of a function with a 1.5 MB bundle', measure },
];
