/** The table on the screen: a few lines a row, so that it fits. */
import type { Summary } from '../stats.ts';
import type { Unit } from '../types.ts';
import type { Host, JudgedFigure, Results } from './results.ts';

const WIDTH = 11;
const HEADS = ['p50', 'p99', 'min', 'n'];

export const TABLE_HEAD = [
  'Times are of this machine in this run: compare the ratios. ✓ reached, ✗ not reached, - only told.',
  '',
  `${''.padEnd(44)}${HEADS.map((head) => head.padStart(WIDTH)).join('')}`,
].join('\n');

/** What stands below the rows. */
export function toSummary(results: Results): string {
  const { host, seconds, quick } = results;
  return `${quick ? 'A quick run' : 'A run'}, ${seconds} s. ${describe(host)}\n${countFigures(results)}`;
}

const describe = ({ kernel, cpu, cores, memoryMb, limits, node, python, load }: Host): string =>
  `Linux ${kernel}, ${cores} cores (${cpu}), ${memoryMb} MB, limits ${limits}; Node ${node.host} on the host, ` +
  `${node.base} in the base image, Python ${python.base}; load average ${load.before.toFixed(2)} before, ${load.after.toFixed(2)} after.`;

export function toText({
  what,
  unit,
  ours,
  reference,
  figures,
  notes,
  missing,
  load,
}: Results['rows'][number]): string {
  const lines = [`${what} [${unit}]`];
  if (ours !== null) lines.push(`${'  wafer'.padEnd(44)}${cells(ours, unit)}`);
  if (reference !== null) lines.push(`${`  ${reference.name}`.padEnd(44)}${cells(reference, unit)}`);
  for (const figure of figures) lines.push(`  ${figureText(figure)}`);
  if (missing !== undefined) lines.push(`  ${missing.kind}: ${missing.reason}`);
  for (const note of notes) lines.push(`    ${note}`);
  if (load !== undefined)
    lines.push(`    load average ${load.before.toFixed(2)} before, ${load.after.toFixed(2)} after`);
  return lines.join('\n');
}

const cells = ({ p50, p99, min, n }: Summary, unit: Unit): string =>
  [...[p50, p99, min].map((value) => number(value, unit)), String(n)].map((cell) => cell.padStart(WIDTH)).join('');

const number = (value: number, unit: Unit): string => (unit === 'bytes' ? String(Math.round(value)) : value.toFixed(2));

export const mark = ({ reached }: JudgedFigure): string => (reached === null ? '-' : reached ? '✓' : '✗');

const figureText = (figure: JudgedFigure): string =>
  `${mark(figure)} ${figure.what} ${number(figure.value, figure.what.includes('bytes') ? 'bytes' : 'ms')}${
    figure.target === null ? '' : `   (to reach: ${figure.target.op} ${figure.target.value})`
  }`;

function countFigures({ rows }: Results): string {
  const judged = rows.flatMap(({ figures }) => figures).filter(({ reached }) => reached !== null);
  const absent = rows.filter(({ missing }) => missing?.kind === 'not here').length;
  const failed = rows.filter(({ missing }) => missing?.kind === 'failed').length;
  const reached = judged.filter((one) => one.reached === true).length;
  return `${reached} of ${judged.length} figures reached; ${absent} rows not here, ${failed} failed`;
}
