import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import { loadProject } from '../../../../services/cli/compose/project.ts';
import type { ComposeProject } from '../../../../services/cli/compose/types.ts';

export interface ComposeFolder {
  dir(): string;
  write(name: string, text: string): void;
  /** As `compose.yaml` of the project `shop`. */
  load(text: string, env?: Record<string, string>): ComposeProject;
  /** Message and hint; fails the test when the file is taken. */
  refusal(text: string): string;
}

/** A new one for each test. */
export function useComposeFolder(): ComposeFolder {
  let dir = '';
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'wafer-compose-'));
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));
  const write = (name: string, text: string) => writeFileSync(join(dir, name), text);
  const load = (text: string, env: Record<string, string> = {}) => {
    write('compose.yaml', text);
    return loadProject({ file: undefined, projectName: 'shop', cwd: dir, env });
  };
  const refusal = (text: string) => {
    try {
      load(text);
    } catch (error) {
      const { message, hint } = error as Error & { hint?: string };
      return hint === undefined ? message : `${message} (${hint})`;
    }
    throw new Error('it was taken');
  };
  return { dir: () => dir, write, load, refusal };
}
