/** Values of a compose file read as what a key takes; a complaint has the value's place. */
import { ValueError } from '../containers/parse.ts';
import { refuse } from './places.ts';
import { shellWords } from './shell-words.ts';
import type { MapValue, Value } from './yaml-tree.ts';

const KINDS = { text: 'a text', null: 'nothing', list: 'a list', map: 'a map' } as const;

export const wrongKind = (key: string, wanted: string, value: Value) =>
  refuse(value.at, `"${key}" takes ${wanted}, not ${KINDS[value.kind]}.`);

/** A reader's complaint gets the place. */
export function reading<T>(value: Value, key: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof ValueError)) throw error;
    throw refuse(value.at, `"${key}": ${error.message}`, error.hint);
  }
}

export function asText(key: string, value: Value): string {
  if (value.kind === 'text') return value.text;
  throw wrongKind(key, 'a text', value);
}

export function asBoolean(key: string, value: Value): boolean {
  if (value.kind === 'text' && /^(?:true|false)$/i.test(value.text)) return value.text.toLowerCase() === 'true';
  throw refuse(value.at, `"${key}" is true or false.`);
}

/** With `oneToo`, a text is a list of one. */
export function asList(key: string, value: Value, { oneToo = false } = {}): Value[] {
  if (value.kind === 'list') return value.items;
  if (oneToo && value.kind !== 'null') return [value];
  if (value.kind === 'null') return [];
  throw wrongKind(key, 'a list', value);
}

export function asMap(key: string, value: Value): MapValue {
  if (value.kind === 'map') return value;
  throw wrongKind(key, 'a map', value);
}

export const asTexts = (key: string, value: Value): string[] => asList(key, value).map((one) => asText(key, one));

/** A list of arguments, or a line that is split as a shell would. */
export function asCommand(key: string, value: Value): string[] {
  if (value.kind !== 'text') return asTexts(key, value);
  try {
    return shellWords(value.text);
  } catch (error) {
    throw refuse(value.at, `"${key}": ${(error as Error).message}`);
  }
}

/** A map, or a list of `NAME=value`. Null: the name alone. */
export function asPairs(key: string, value: Value): [name: string, value: string | null][] {
  if (value.kind === 'null') return [];
  if (value.kind === 'map') {
    return [...value.entries].map(([name, { value: one }]) => [name, one.kind === 'null' ? null : asText(name, one)]);
  }
  return asList(key, value).map((item) => {
    const text = asText(key, item);
    const equals = text.indexOf('=');
    if (equals === 0 || text === '') throw refuse(item.at, `"${key}": ${JSON.stringify(text)} is not NAME=value.`);
    return equals === -1 ? [text, null] : [text.slice(0, equals), text.slice(equals + 1)];
  });
}
