import { nearest } from '../../core/functions/nearest.ts';
import { refuse } from './places.ts';
import type { MapValue } from './yaml-tree.ts';

/** Keys of people's own. */
const isExtension = (key: string) => key.startsWith('x-');

/**
 * An unsupported key is an error: what it asks for would silently not be there. `where` says of what.
 * @throws WaferError `usage` with the key's place
 */
export function checkKeys(
  map: MapValue,
  where: string,
  known: readonly string[],
  hints: Readonly<Record<string, string>> = {},
): void {
  for (const [key, { at }] of map.entries) {
    if (known.includes(key) || isExtension(key)) continue;
    const similar = hints[key] === undefined ? nearest(key, known) : undefined;
    const hint =
      hints[key] ?? (similar === undefined ? 'docs/compose.md lists the keys that are.' : `Did you mean "${similar}"?`);
    throw refuse(at, `${where}: "${key}" is not supported.`, hint);
  }
}
