/** The lint that keeps imports pointing down: planted violations are reported, allowed imports are not. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const ROOT = resolve(import.meta.dirname, '../..');

const REFUSED = [
  ['services/core', '../api/app.ts'],
  ['services/core', '../worker/pool.ts'],
  ['services/core', '../cli/main.ts'],
  ['services/core', '../../runtime/sandbox/index.ts'],
  ['services/core', 'fastify'],
  ['services/api', '../../runtime/sandbox/index.ts'],
  ['services/api', '../worker/pool.ts'],
  ['services/api', 'ioredis'],
  ['services/worker', '../api/app.ts'],
  ['services/worker', '../../runtime/languages/node/main.cjs'],
  ['services/worker', 'fastify'],
  ['runtime/sandbox', '../../services/core/errors.ts'],
] as const;

const ALLOWED = [
  ['services/api', '../core/errors.ts'],
  ['services/worker', '../../runtime/sandbox/index.ts'],
  ['services/core', './store/keys.ts'],
  ['runtime/sandbox', '../protocol/index.ts'],
] as const;

const fileOf = (folder: string, target: string) => `${folder}/planted-${target.replaceAll(/[^a-z]+/g, '-')}.ts`;

let tree: string;
let output: string;
beforeAll(() => {
  tree = mkdtempSync(join(tmpdir(), 'wafer-walls-'));
  cpSync(join(ROOT, 'biome.json'), join(tree, 'biome.json'));
  for (const [folder, target] of [...REFUSED, ...ALLOWED]) {
    const path = join(tree, fileOf(folder, target));
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, `import { x } from '${target}';\n\nx();\n`);
  }
  const argv = ['lint', '--only=style/noRestrictedImports', '--colors=off', '--max-diagnostics=none'];
  const run = spawnSync(join(ROOT, 'node_modules/.bin/biome'), argv, { cwd: tree, encoding: 'utf8' });
  output = run.stdout + run.stderr;
});
afterAll(() => rmSync(tree, { recursive: true, force: true }));

describe('import walls', () => {
  it.each(REFUSED)('%s may not import %s', (folder, target) => {
    expect(output).toContain(`${fileOf(folder, target)}:1:`);
  });

  it.each(ALLOWED)('%s may import %s', (folder, target) => {
    expect(output).not.toContain(fileOf(folder, target));
  });
});
