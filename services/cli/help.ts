/** The first screen and the help of each command. */
import type { ArgDef } from 'citty';
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

function aligned(ui: Ui, rows: readonly (readonly [left: string, right: string])[]): void {
  const size = Math.max(...rows.map(([left]) => left.length));
  for (const [left, right] of rows) ui.out(`  ${ui.paint('cyan', left.padEnd(size))}   ${right}`);
}

export function showFirstScreen(ui: Ui, version: string): void {
  ui.out(`${ui.paint('bold', `wafer ${version}`)}  serverless functions in rootless sandboxes`);
  ui.out();
  ui.out(ui.paint('bold', 'Start here'));
  aligned(ui, START);
  for (const group of GROUPS) {
    ui.out();
    ui.out(ui.paint('bold', group));
    aligned(
      ui,
      COMMANDS.filter((entry) => entry.group === group).map((entry) => [entry.name.padEnd(18), entry.summary]),
    );
  }
  ui.out();
  ui.out(ui.paint('dim', '"wafer COMMAND --help" shows flags and examples; "wafer --version" the version.'));
}

function flagText(name: string, def: ArgDef): string {
  const aliases = 'alias' in def && def.alias !== undefined ? [def.alias].flat() : [];
  const names = [...aliases.map((alias) => `-${alias}`), `--${name}`].join(', ');
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
  ui.out(
    ui.paint('bold', ['wafer', command.name, ...groups, ...usage, ...(flags.length > 0 ? ['[flags]'] : [])].join(' ')),
  );
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
  section(
    'Arguments',
    positionals.map(([name, def]) => [name.toUpperCase(), withDefault(def)]),
  );
  section(
    'Flags',
    flags.map(([name, def]) => [flagText(name, def), withDefault(def)]),
  );
  section('Examples', command.examples);
}
