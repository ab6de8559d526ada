/** `$NAME`, `${NAME}`, `${NAME:-word}` and the like in the values of a compose file. `$$` is a dollar. */
import { expandParameter, OPERATOR } from '../../core/parameter-expansion.ts';

const NAME = /[A-Za-z_][A-Za-z0-9_]*/y;
const MAX_DEPTH = 20;
const MAX_LENGTH = 64 * 1024;

export interface Variables {
  get(name: string): string | undefined;
  /** A variable that is not set and has no default: it is empty. */
  onMissing(name: string): void;
}

interface Cursor {
  text: string;
  at: number;
}

/** @throws Error saying what is wrong */
export function interpolate(text: string, variables: Variables): string {
  return text.includes('$') ? read({ text, at: 0 }, false, variables, 0) : text;
}

function read(cursor: Cursor, inBraces: boolean, variables: Variables, depth: number): string {
  if (depth > MAX_DEPTH) throw new Error('its variables are nested too deeply.');
  let out = '';
  while (cursor.at < cursor.text.length) {
    const char = cursor.text[cursor.at] ?? '';
    if (inBraces && char === '}') return out;
    if (char === '$') out += readDollar(cursor, variables, depth);
    else {
      out += char;
      cursor.at += 1;
    }
    if (out.length > MAX_LENGTH) throw new Error(`it becomes longer than ${MAX_LENGTH} characters.`);
  }
  if (inBraces) throw new Error('a "}" is missing.');
  return out;
}

function readName(cursor: Cursor): string {
  NAME.lastIndex = cursor.at;
  const [name = ''] = NAME.exec(cursor.text) ?? [];
  cursor.at += name.length;
  return name;
}

function readDollar(cursor: Cursor, variables: Variables, depth: number): string {
  cursor.at += 1;
  const char = cursor.text[cursor.at];
  if (char === '$') {
    cursor.at += 1;
    return '$';
  }
  if (char !== '{') {
    const name = readName(cursor);
    if (name === '') throw new Error('a "$" is followed by no name; a dollar itself is written "$$".');
    return lookUp(name, variables);
  }
  cursor.at += 1;
  const name = readName(cursor);
  if (name === '') throw new Error('"${" is not followed by a name; a dollar itself is written "$$".');
  return readBraces(cursor, name, variables, depth);
}

function lookUp(name: string, variables: Variables): string {
  const value = variables.get(name);
  if (value === undefined) variables.onMissing(name);
  return value ?? '';
}

function readBraces(cursor: Cursor, name: string, variables: Variables, depth: number): string {
  if (cursor.text[cursor.at] === '}') {
    cursor.at += 1;
    return lookUp(name, variables);
  }
  const [operator] = OPERATOR.exec(cursor.text.slice(cursor.at, cursor.at + 2)) ?? [];
  if (operator === undefined) throw new Error(`"\${${name}" is followed by neither "}" nor one of :- - :? ? :+ +.`);
  cursor.at += operator.length;
  // Read in any case, so that the end is found; what is not used may name what is not set.
  const quiet: Variables = { get: variables.get, onMissing: () => {} };
  const word = read(cursor, true, quiet, depth + 1);
  cursor.at += 1;
  const expanded = expandParameter(operator, variables.get(name), word);
  if (expanded === undefined) throw new Error(`${name} is needed${word === '' ? '' : `: ${word}`}.`);
  return expanded;
}
