/**
 * Files that ship with the package but are not compiled (templates, the schema, package.json).
 * They are found from the package root, so the same code works from source and from dist.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The nearest folder above this file that holds package.json. */
export function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder);
    if (parent === folder) throw new Error('package.json of wafer is missing; the installation is broken.');
    folder = parent;
  }
  return folder;
}

export function packageVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8'));
  const version = typeof manifest === 'object' && manifest !== null && 'version' in manifest ? manifest.version : null;
  return String(version ?? 'unknown');
}

export const templatesFolder = (): string => join(packageRoot(), 'services', 'cli', 'templates');

/** Kept up to date with the TypeBox schema by a test; loading that costs 150 ms, reading this none. */
export const readShippedSchema = (): string => readFileSync(join(packageRoot(), 'wafer.schema.json'), 'utf8');

/** The rule for `name` in the schema. */
export function isFunctionName(name: string): boolean {
  const schema: { properties: { name: { pattern: string } } } = JSON.parse(readShippedSchema());
  return new RegExp(schema.properties.name.pattern).test(name);
}
