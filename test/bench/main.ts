/**
 * `npm run bench`: Wafer beside its references, in turn, in one run on one machine. Prints a table, and writes JSON and a
 * picture into docs/bench when the run is a whole one. Its exit code is 1 only when a line could not be measured.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ROOT } from '../helpers/paths.ts';
import { type BenchArguments, readArguments, toList } from './arguments.ts';
import { openContext } from './context.ts';
import { LINES } from './lines/index.ts';
import { toPicture } from './report/picture.ts';
import { describeHost, type Host, judge, loadNow, type Results, SCHEMA } from './report/results.ts';
import { TABLE_HEAD, toSummary, toText } from './report/table.ts';
import type { BenchContext, Line, Row } from './types.ts';

const say = (text: string) => void process.stderr.write(`${text}\n`);
const print = (text: string) => void process.stdout.write(`${text}\n`);

async function measure(line: Line, context: BenchContext): Promise<Row[]> {
  const before = loadNow();
  const began = performance.now();
  const rows = await line.measure(context).catch((error: unknown) => [failedRow(line, error)]);
  const load = { before, after: loadNow() };
  say(`${line.name}: ${((performance.now() - began) / 1000).toFixed(1)} s`);
  return rows.map((row) => ({ ...row, load }));
}

/** The other lines are measured all the same. */
function failedRow({ name, about }: Line, error: unknown): Row {
  const reason = error instanceof Error ? error.message : String(error);
  say(`${name} failed: ${error instanceof Error ? error.stack : reason}`);
  const missing = { kind: 'failed' as const, reason: reason.slice(0, 500) };
  return { what: about, unit: 'ms', ours: null, reference: null, figures: [], notes: [], missing };
}

async function run({ chosen, quick }: BenchArguments): Promise<Results> {
  const before = loadNow();
  const began = performance.now();
  const context = await openContext({ quick, say });
  const rows: Results['rows'] = [];
  let host: Host;
  try {
    for (const line of chosen) {
      const measured = await measure(line, context);
      const judged = measured.map((row) => ({ line: line.name, ...row, figures: row.figures.map(judge) }));
      for (const row of judged) print(`\n${toText(row)}`);
      rows.push(...judged);
    }
    host = await describeHost(await context.platform(), await context.reference(), before);
  } finally {
    await context.close();
  }
  const seconds = Math.round((performance.now() - began) / 1000);
  return { schema: SCHEMA, at: new Date().toISOString(), quick, seconds, host, rows };
}

async function writeFiles(results: Results, dir: string): Promise<void> {
  await mkdir(dir, { recursive: true });
  await writeFile(join(dir, 'figures.json'), `${JSON.stringify(results, null, 2)}\n`);
  await writeFile(join(dir, 'figures.svg'), toPicture(results));
  say(`written: ${join(dir, 'figures.json')}, ${join(dir, 'figures.svg')}`);
}

const options = readArguments(process.argv.slice(2), LINES, join(ROOT, 'docs/bench'));
if (options.list) {
  print(toList(LINES));
} else {
  print(TABLE_HEAD);
  const results = await run(options);
  print(`\n${toSummary(results)}`);
  if (options.out !== null) await writeFiles(results, options.out);
  if (results.rows.some(({ missing }) => missing?.kind === 'failed')) process.exitCode = 1;
}
