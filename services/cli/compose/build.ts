import { resolve } from 'node:path';
import { checkKeys } from './keys.ts';
import { refuse } from './places.ts';
import type { ComposeBuild } from './types.ts';
import { asMap, asPairs, asText } from './values.ts';
import type { Value } from './yaml-tree.ts';

const KEYS = ['context', 'dockerfile', 'dockerfile_inline', 'args', 'target'] as const;

/** A context that is not a folder of this machine. */
const isRemote = (context: string) => /^(?:[a-z][a-z0-9+.-]*:\/\/|git@)/i.test(context);

/** `get`: a variable of the caller. */
export function readBuild(value: Value, dir: string, get: (name: string) => string | undefined): ComposeBuild {
  if (value.kind === 'text') return { context: contextOf(value, dir), args: {} };
  const map = asMap('build', value);
  checkKeys(map, 'build', KEYS);
  const text = (key: (typeof KEYS)[number]) => {
    const found = map.entries.get(key)?.value;
    return found === undefined ? undefined : asText(key, found);
  };
  const context = map.entries.get('context')?.value;
  const args = map.entries.get('args')?.value;
  const pairs = args === undefined ? [] : asPairs('args', args).map(([name, one]) => [name, one ?? get(name)] as const);
  const target = text('target');
  const dockerfile = text('dockerfile');
  const dockerfileText = text('dockerfile_inline');
  if (dockerfile !== undefined && dockerfileText !== undefined)
    throw refuse(map.at, '"dockerfile" and "dockerfile_inline" exclude each other.');
  return {
    context: context === undefined ? dir : contextOf(context, dir),
    args: Object.fromEntries(pairs.filter((pair): pair is [string, string] => pair[1] !== undefined)),
    ...(target === undefined ? {} : { target }),
    ...(dockerfile === undefined ? {} : { dockerfile }),
    ...(dockerfileText === undefined ? {} : { dockerfileText }),
  };
}

function contextOf(value: Value, dir: string): string {
  const text = asText('context', value);
  if (isRemote(text)) throw refuse(value.at, `"context": ${text} is not a folder of this machine.`);
  return resolve(dir, text);
}
