/** What the documents call a setting is one, and each is in one of them. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { SETTINGS } from '../../../services/core/config.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const texts = [
  ...['README.md', 'CHANGELOG.md', 'ARCHITECTURE.md', 'SECURITY.md', 'CONTRIBUTING.md'],
  ...readdirSync(join(ROOT, 'docs')).flatMap((name) => (name.endsWith('.md') ? [`docs/${name}`] : [])),
].map(read);
const named = new Set(texts.flatMap((text) => text.match(/\bWAFER_[A-Z]+(?:_[A-Z]+)*/g) ?? []));
const settings: string[] = Object.values(SETTINGS).map(({ env }) => env);

const PROGRAM = 'services/worker/instances/program-instance.ts';
/** Of the CLI as a client, of programs that are functions, of tests; each in the file that has it. */
const OTHERS: Record<string, string> = {
  WAFER_URL: 'services/cli/commands/config.ts',
  WAFER_KEY: 'services/cli/commands/config.ts',
  WAFER_FUNCTION: PROGRAM,
  WAFER_VERSION: PROGRAM,
  WAFER_INVOCATION_ID: PROGRAM,
  WAFER_DEADLINE_MS: PROGRAM,
  WAFER_HTTP_METHOD: PROGRAM,
  WAFER_HTTP_PATH: PROGRAM,
  WAFER_HTTP_QUERY: PROGRAM,
  WAFER_TX_ROUNDS: 'test/sandbox/volume-transactions.test.ts',
  WAFER_VOLUME_KILLS: 'test/faults/volumes.test.ts',
};
const isElsewhere = (name: string) => OTHERS[name] !== undefined && read(OTHERS[name]).includes(name);

describe('the settings in the documents', () => {
  test('are settings', () => {
    expect([...named].filter((name) => !settings.includes(name) && !isElsewhere(name))).toEqual([]);
  });

  test('are all of them', () => {
    expect(settings.filter((name) => !named.has(name))).toEqual([]);
  });
});
