/** The shell-like words of a Dockerfile: quotes, escapes and `${...}`. No commands, no globs, nothing is run. */
import { expandParameter, OPERATOR } from '../../parameter-expansion.ts';
import { DOCKERFILE_LIMITS } from './limits.ts';

export type Scope = (name: string) => string | undefined;

/** The caller knows the place; this knows the reason. */
export class WordError extends Error {
  override readonly name = 'WordError';
}

interface Cursor {
  text: string;
  at: number;
}

const isSpace = (char: string | undefined) => char === ' ' || char === '\t' || char === '\n';
const NAME = /[A-Za-z_][A-Za-z0-9_]*|[0-9@*#]/y;
const MAX_DEPTH = 64;

function grow(out: string, more: string): string {
  if (out.length + more.length > DOCKERFILE_LIMITS.expansion)
    throw new WordError(`it expands to more than ${DOCKERFILE_LIMITS.expansion} characters`);
  return out + more;
}

/**
 * One value: variables put in, quotes and escapes taken away. What a variable holds is not read again.
 * Without `quotes` (in heredocs) a quote is a character, and an escape counts only before `$` and itself.
 * @throws WordError
 */
export function expandWord(text: string, scope: Scope, mark: string, { quotes = true } = {}): string {
  return readUntil({ text, at: 0 }, null, { scope, mark, quotes, depth: 0 });
}

interface Reading {
  scope: Scope;
  mark: string;
  quotes: boolean;
  depth: number;
}

function readUntil(cursor: Cursor, stop: string | null, reading: Reading): string {
  if (reading.depth > MAX_DEPTH) throw new WordError('its variables are nested too deeply');
  let out = '';
  while (cursor.at < cursor.text.length) {
    const char = cursor.text[cursor.at] ?? '';
    if (char === stop) return out;
    if (char === "'" && reading.quotes) out = grow(out, readSingle(cursor));
    else if (char === '"' && reading.quotes) out = grow(out, readDouble(cursor, reading));
    else if (char === '$') out = grow(out, readVariable(cursor, reading));
    else if (char === reading.mark) {
      // At the very end it is a character like others.
      const after = cursor.text[cursor.at + 1] ?? '';
      const isPlain = after === '' || (!reading.quotes && after !== '$' && after !== char);
      out = grow(out, isPlain ? char + after : after);
      cursor.at += 2;
    } else {
      out = grow(out, char);
      cursor.at += 1;
    }
  }
  if (stop !== null) throw new WordError(`a "${stop}" is missing`);
  return out;
}

function readSingle(cursor: Cursor): string {
  const end = cursor.text.indexOf("'", cursor.at + 1);
  if (end === -1) throw new WordError("a quote (') is not closed");
  const inner = cursor.text.slice(cursor.at + 1, end);
  cursor.at = end + 1;
  return inner;
}

function readDouble(cursor: Cursor, reading: Reading): string {
  let out = '';
  cursor.at += 1;
  for (;;) {
    const char = cursor.text[cursor.at];
    if (char === undefined) throw new WordError('a quote (") is not closed');
    if (char === '"') break;
    if (char === '$') out = grow(out, readVariable(cursor, reading));
    else if (char === reading.mark) {
      const after = cursor.text[cursor.at + 1];
      if (after === undefined) throw new WordError('a quote (") is not closed');
      out = grow(out, after === '"' || after === '$' || after === reading.mark ? after : char + after);
      cursor.at += 2;
    } else {
      out = grow(out, char);
      cursor.at += 1;
    }
  }
  cursor.at += 1;
  return out;
}

function readName(cursor: Cursor): string {
  NAME.lastIndex = cursor.at;
  const [name = ''] = NAME.exec(cursor.text) ?? [];
  cursor.at += name.length;
  return name;
}

function readVariable(cursor: Cursor, reading: Reading): string {
  cursor.at += 1;
  if (cursor.text[cursor.at] !== '{') {
    const name = readName(cursor);
    return name === '' ? '$' : (reading.scope(name) ?? '');
  }
  cursor.at += 1;
  const name = readName(cursor);
  if (name === '') throw new WordError('"${" is not followed by a name');
  const value = reading.scope(name);
  if (cursor.text[cursor.at] === '}') {
    cursor.at += 1;
    return value ?? '';
  }
  const operator = readOperator(cursor, name);
  const word = readUntil(cursor, '}', { ...reading, depth: reading.depth + 1 });
  cursor.at += 1;
  const expanded = expandParameter(operator, value, word);
  if (expanded === undefined) throw new WordError(`${name}: ${word === '' ? 'it is not set' : word}`);
  return expanded;
}

function readOperator(cursor: Cursor, name: string): string {
  const [operator] = OPERATOR.exec(cursor.text.slice(cursor.at, cursor.at + 2)) ?? [];
  if (operator === undefined && cursor.at >= cursor.text.length) throw new WordError('a "}" is missing');
  if (operator === undefined) throw new WordError(`"\${${name}${cursor.text[cursor.at] ?? ''}" is not supported`);
  cursor.at += operator.length;
  return operator;
}

/** Splits at white space outside quotes; quotes and escapes stay in the words. @throws WordError */
export function splitWords(text: string, mark: string): { word: string; offset: number }[] {
  const words: { word: string; offset: number }[] = [];
  let at = 0;
  while (at < text.length) {
    while (isSpace(text[at])) at += 1;
    if (at >= text.length) break;
    const offset = at;
    let quote = '';
    for (; at < text.length && (quote !== '' || !isSpace(text[at])); at += 1) {
      const char = text[at] ?? '';
      if (char === mark && quote !== "'") at += 1;
      else if (quote === '' && (char === '"' || char === "'")) quote = char;
      else if (char === quote) quote = '';
    }
    if (quote !== '') throw new WordError(`a quote (${quote}) is not closed`);
    words.push({ word: text.slice(offset, at), offset });
    at = Math.min(at, text.length);
  }
  return words;
}

/** `NAME=value` pairs, or `NAME the rest is the value`; quotes stay. @throws WordError */
export function splitPairs(text: string, mark: string): [name: string, value: string][] {
  const words = splitWords(text, mark);
  const first = words[0];
  if (first === undefined) throw new WordError('there is nothing to set');
  if (!first.word.includes('=')) {
    const value = text.slice(first.offset + first.word.length).trim();
    if (value === '') throw new WordError(`${first.word} has no value`);
    return [[first.word, value]];
  }
  return words.map(({ word }) => {
    const equals = word.indexOf('=');
    if (equals < 1) throw new WordError(`"${word.slice(0, 64)}" is not NAME=value`);
    return [word.slice(0, equals), word.slice(equals + 1)];
  });
}
