/**
 * The strict check that citty leaves out: it takes unknown flags, missing values and
 * left-over arguments silently. Run on the raw arguments before citty parses them.
 */
import type { ArgDef, ArgsDef } from 'citty';
import { WaferError } from '../core/errors.ts';
import { suggest } from './suggest.ts';

interface Flag {
  name: string;
  def: ArgDef;
}

const aliasesOf = (def: ArgDef): string[] => ('alias' in def && def.alias !== undefined ? [def.alias].flat() : []);

/** `--name` for words, `-n` for letters. */
export const dashed = (name: string) => (name.length === 1 ? `-${name}` : `--${name}`);

function flagTable(args: ArgsDef): Map<string, Flag> {
  const table = new Map<string, Flag>();
  for (const [name, def] of Object.entries(args)) {
    if (def.type === 'positional') continue;
    for (const key of [name, ...aliasesOf(def)]) table.set(dashed(key), { name, def });
  }
  return table;
}

function unknownFlag(flag: string, command: string, known: string[]): WaferError {
  const similar = suggest(
    flag,
    known.filter((name) => name.startsWith('--')),
  );
  return new WaferError('usage', `"wafer ${command}" has no flag ${flag}.`, {
    hint: similar ? `Did you mean ${similar}?` : `"wafer ${command} --help" lists its flags.`,
  });
}

/** A value may not look like a flag, so that a forgotten value does not swallow the next flag. */
const looksLikeFlag = (token: string) => /^-{1,2}[A-Za-z]/.test(token);

function checkValue(flag: string, { def }: Flag, value: string | undefined): void {
  if (value === undefined || looksLikeFlag(value)) {
    const hint = value === undefined ? {} : { hint: `If ${value} is the value, write ${flag}=${value}.` };
    throw new WaferError('usage', `${flag} needs a value.`, hint);
  }
  checkOption(flag, def, value);
}

function checkOption(flag: string, def: ArgDef, value: string): void {
  if (def.type !== 'enum' || def.options === undefined || def.options.includes(value)) return;
  const similar = suggest(value, def.options);
  throw new WaferError('usage', `${flag} can not be "${value}"; it is one of ${def.options.join(', ')}.`, {
    ...(similar === null ? {} : { hint: `Did you mean ${similar}?` }),
  });
}

/** What somebody puts behind the name by mistake is a secret, and is not repeated. */
const READS_VALUE = /^secret (set|rotate)$/;
const VALUE_HINT =
  'Give it on stdin, or with --file. One in an argument is in the history of the shell and in ps: take another.';

function checkPositionals(command: string, args: ArgsDef, given: string[], many: boolean): void {
  const wanted = Object.entries(args).filter(([, def]) => def.type === 'positional');
  const missing = wanted.slice(given.length).find(([, def]) => def.required !== false && def.default === undefined);
  const hint = `"wafer ${command} --help" shows how to use it.`;
  if (missing) throw new WaferError('usage', `"wafer ${command}" needs ${missing[0].toUpperCase()}.`, { hint });
  const extra = many ? undefined : given[wanted.length];
  if (extra !== undefined && READS_VALUE.test(command))
    throw new WaferError('usage', `"wafer ${command}" takes no value as an argument.`, { hint: VALUE_HINT });
  if (extra !== undefined) {
    throw new WaferError('usage', `"wafer ${command}" does not take the argument "${extra}".`, { hint });
  }
}

/** @returns the positionals. @throws WaferError `usage` for an unknown flag, a missing or impossible value, a missing or left-over argument */
export function checkArguments(command: string, args: ArgsDef, rawArgs: readonly string[], many = false): string[] {
  const table = flagTable(args);
  const positionals: string[] = [];
  for (let index = 0; index < rawArgs.length; index++) {
    const token = rawArgs[index] ?? '';
    if (token === '--') {
      positionals.push(...rawArgs.slice(index + 1));
      break;
    }
    if (!token.startsWith('-') || token === '-') {
      positionals.push(token);
      continue;
    }
    const [flag = '', inline] = token.split(/=(.*)/s);
    const found = table.get(flag);
    if (found === undefined) throw unknownFlag(flag, command, [...table.keys(), '--help']);
    if (found.def.type === 'boolean') {
      if (inline !== undefined) throw new WaferError('usage', `${flag} takes no value.`);
    } else if (inline === undefined) checkValue(flag, found, rawArgs[++index]);
    else checkOption(flag, found.def, inline);
  }
  checkPositionals(command, args, positionals, many);
  return positionals;
}

/** `-it` is `-i -t`, `-p80:80` is `--publish=80:80`. A word with an unknown letter stays as it is, to be refused. */
function expandLetters(token: string, table: Map<string, Flag>): string[] {
  if (!/^-[A-Za-z][^-]/.test(token)) return [token];
  const expanded: string[] = [];
  for (let index = 1; index < token.length; index++) {
    const found = table.get(`-${token[index]}`);
    if (found === undefined) return [token];
    if (found.def.type !== 'boolean') {
      const value = token.slice(index + 1).replace(/^=/, '');
      return [...expanded, value === '' ? `-${token[index]}` : `${dashed(found.name)}=${value}`];
    }
    expanded.push(`-${token[index]}`);
  }
  return expanded;
}

export interface SplitArguments {
  /** Flags and positionals of the command itself, letters written out. */
  own: string[];
  /** Words of the program that is to run, unchanged; only a `--` before them is left out. */
  rest: string[];
}

/** With `restAfter`, everything behind so many positionals is somebody else's: `wafer run IMAGE ls --color`. */
export function splitArguments(args: ArgsDef, rawArgs: readonly string[], restAfter?: number): SplitArguments {
  const table = flagTable(args);
  const own: string[] = [];
  let seen = 0;
  for (let index = 0; index < rawArgs.length; index++) {
    const token = rawArgs[index] ?? '';
    if (seen === restAfter) return { own, rest: rawArgs.slice(token === '--' ? index + 1 : index) };
    if (token === '--') {
      const split = restAfter === undefined ? rawArgs.length : index + 1 + restAfter - seen;
      return { own: [...own, ...rawArgs.slice(index, split)], rest: rawArgs.slice(split) };
    }
    if (!token.startsWith('-') || token === '-') {
      own.push(token);
      seen++;
      continue;
    }
    const words = expandLetters(token, table);
    own.push(...words);
    const last = table.get(words.at(-1) ?? '');
    const value = rawArgs[index + 1];
    if (last === undefined || last.def.type === 'boolean' || value === undefined) continue;
    own.push(value);
    index++;
  }
  return { own, rest: [] };
}
