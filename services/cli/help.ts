/** The first screen and the help of each command. */
import type { ArgDef } from 'citty';
import { dashed } from './arguments.ts';
import type { Command } from './command.ts';
import { COMMANDS, GROUPS } from './registry.ts';
import type { Ui } from './ui.ts';

const START = [
  ['wafer doctor', 'what this machine allows'],
  ['wafer up', 'start the platform; keep it running'],
  ['wafer init hello', 'a folder with a first function'],
  ['wafer deploy hello', 'build it and make it live'],
  ['wafer invoke hello', 'call it'],
] as const;

const LINE = 76;

/** Words in lines of at most so many characters. */
function wrap(words: readonly string[], width: number): string[] {
  const lines: string[] = [];
  for (const word of words) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 2 + word.length <= width) lines[lines.length - 1] = `${last}  ${word}`;
    else lines.push(word);
  }
  return lines;
}

function aligned(ui: Ui, rows: readonly (readonly [left: string, right: string])[]): void {
  const size = Math.max(...rows.map(([left]) => left.length));
  for (const [left, right] of rows) ui.out(`  ${ui.paint('cyan', left.padEnd(size))}   ${right}`);
}

export function showFirstScreen(ui: Ui, version: string): void {
  ui.out(`${ui.paint('bold', `wafer ${version}`)}  serverless functions, images and containers without root`);
  ui.out();
  ui.out(ui.paint('bold', 'Start here'));
  aligned(ui, START);
  for (const group of GROUPS) {
    ui.out();
    ui.out(ui.paint('bold', group));
    const entries = COMMANDS.filter((entry) => entry.group === group);
    const minor = entries.filter((entry) => entry.isMinor).map(({ name }) => name);
    aligned(
      ui,
      entries.filter((entry) => !entry.isMinor).map((entry) => [entry.name.padEnd(18), entry.summary]),
    );
    for (const line of wrap(minor, LINE)) ui.out(`  ${ui.paint('cyan', line)}`);
  }
  ui.out();
  ui.out(ui.paint('dim', '"wafer COMMAND --help" shows flags and examples; "wafer --version" the version.'));
}

function flagText(name: string, def: ArgDef): string {
  const aliases = 'alias' in def && def.alias !== undefined ? [def.alias].flat() : [];
  const names = [...aliases.map(dashed), dashed(name)].join(', ');
  if (def.type === 'boolean') return names;
  const value = def.type === 'enum' ? (def.options ?? []).join('|') : (def.valueHint ?? name.toUpperCase());
  return `${names} ${value}`;
}

function withDefault(def: ArgDef): string {
  const text = def.description ?? '';
  return def.default === undefined ? text : `${text} (default ${String(def.default)})`;
}

export function showCommandHelp(ui: Ui, command: Command): void {
  const entries = Object.entries(command.args);
  const positionals = entries.filter(([, def]) => def.type === 'positional');
  const flags = entries.filter(([, def]) => def.type !== 'positional');
  const groups = command.commands === undefined ? [] : ['COMMAND'];
  const usage = positionals.map(([name, def]) => {
    const isOptional = def.required === false || def.default !== undefined;
    return isOptional ? `[${name.toUpperCase()}]` : name.toUpperCase();
  });
  if (command.many) usage.push(`${usage.pop() ?? ''}...`);
  const rest = command.rest === undefined ? [] : [command.rest.label];
  const flagsWord = flags.length > 0 ? ['[flags]'] : [];
  // Where a program follows, flags come before it.
  const words = rest.length > 0 ? [...flagsWord, ...usage, ...rest] : [...usage, ...flagsWord];
  ui.out(ui.paint('bold', ['wafer', command.name, ...groups, ...words].join(' ')));
  ui.out(command.about);
  const section = (title: string, rows: readonly (readonly [string, string])[]) => {
    if (rows.length === 0) return;
    ui.out();
    ui.out(ui.paint('bold', title));
    aligned(ui, rows);
  };
  section(
    'Commands',
    (command.commands ?? []).map(({ name, summary }) => [name, summary] as const),
  );
  section('Arguments', [
    ...positionals.map(([name, def]) => [name.toUpperCase(), withDefault(def)] as const),
    ...(command.rest === undefined ? [] : [[command.rest.label, command.rest.about] as const]),
  ]);
  section(
    'Flags',
    flags.map(([name, def]) => [flagText(name, def), withDefault(def)]),
  );
  section('Examples', command.examples);
}
