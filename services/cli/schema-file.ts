/**
 * `wafer.schema.json`, generated from the TypeBox schema. It lies at the package root, and
 * `wafer init` copies it into the new folder: `"$schema": "./wafer.schema.json"` then works
 * offline, in every editor, and on the machine of everybody who gets the folder.
 */
import { ConfigFile } from '../core/functions/schema.ts';

/** JSON with lists of plain values on one line, as the formatter wants it. */
function print(value: unknown, indent: string): string {
  const deeper = `${indent}  `;
  if (Array.isArray(value)) {
    const items = value.map((item) => print(item, deeper));
    if (value.every((item) => typeof item !== 'object')) return `[${items.join(', ')}]`;
    return `[\n${items.map((item) => deeper + item).join(',\n')}\n${indent}]`;
  }
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const lines = Object.entries(value).map(([key, item]) => `${deeper}${JSON.stringify(key)}: ${print(item, deeper)}`);
  return lines.length === 0 ? '{}' : `{\n${lines.join(',\n')}\n${indent}}`;
}

export function renderSchema(): string {
  const { $id: _id, ...schema }: Record<string, unknown> = JSON.parse(JSON.stringify(ConfigFile));
  const document = {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'wafer.json',
    description: 'Settings of a Wafer function',
    ...schema,
  };
  return `${print(document, '')}\n`;
}
