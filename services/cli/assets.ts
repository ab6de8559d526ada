/**
 * Files that ship with the package but are not compiled (templates, the schema).
 * They are found from the package root, so the same code works from source and from dist.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../core/package-root.ts';

export const templatesFolder = (): string => join(packageRoot(), 'services', 'cli', 'templates');

/** Kept up to date with the TypeBox schema by a test; loading that costs 150 ms, reading this none. */
export const readShippedSchema = (): string => readFileSync(join(packageRoot(), 'wafer.schema.json'), 'utf8');

/** The rule for `name` in the schema. */
export function isFunctionName(name: string): boolean {
  const schema: { properties: { name: { pattern: string } } } = JSON.parse(readShippedSchema());
  return new RegExp(schema.properties.name.pattern).test(name);
}
