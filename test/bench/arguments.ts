/** `npm run bench -- [--quick] [--out DIR | --no-files] [--list] [LINE or GROUP ...]` */
import type { Line } from './types.ts';

export interface BenchArguments {
  quick: boolean;
  list: boolean;
  /** Where the JSON and the picture go; null: nowhere. */
  out: string | null;
  chosen: Line[];
}

/** @throws Error that says what there is. A run of only some lines writes no files, unless it is told where. */
export function readArguments(argv: readonly string[], lines: readonly Line[], standardOut: string): BenchArguments {
  const names: string[] = [];
  let [quick, list, noFiles] = [false, false, false];
  let out: string | undefined;
  const left = argv.values();
  for (const argument of left) {
    if (argument === '--quick') quick = true;
    else if (argument === '--list') list = true;
    else if (argument === '--no-files') noFiles = true;
    else if (argument === '--out') out = left.next().value;
    else if (argument.startsWith('-')) throw new Error(`unknown option ${argument}: ${USAGE}`);
    else names.push(argument);
  }
  if (argv.includes('--out') && out === undefined) throw new Error('--out needs a directory');
  const unknown = names.find((name) => !lines.some((line) => isNamed(line, name)));
  if (unknown !== undefined) throw new Error(`there is no line or group ${unknown}; there are ${known(lines)}`);
  const chosen = names.length === 0 ? [...lines] : lines.filter((line) => names.some((name) => isNamed(line, name)));
  const isWhole = chosen.length === lines.length && !quick;
  return { quick, list, chosen, out: noFiles ? null : (out ?? (isWhole ? standardOut : null)) };
}

export const USAGE = 'npm run bench -- [--quick] [--list] [--out DIR | --no-files] [LINE or GROUP ...]';

const isNamed = ({ name, group }: Line, wanted: string): boolean => name === wanted || group === wanted;

const known = (lines: readonly Line[]): string =>
  [...new Set(lines.flatMap(({ name, group }) => [group, name]))].join(', ');

export const toList = (lines: readonly Line[]): string =>
  lines.map(({ group, name, about }) => `${group.padEnd(12)}${name.padEnd(12)}${about}`).join('\n');
