import { describe, expect, it } from 'vitest';
import type { FunctionConfig } from '../../../services/core/functions/schema.ts';
import type { SourceTree } from '../../../services/core/functions/source/index.ts';
import type { LayerInfo } from '../../../services/core/images/types.ts';
import { compiledRuntime } from '../../../services/worker/builder/compile.ts';

const KIB = 1024;
const facts = (
  runtime: string,
  sizes: Record<string, number>,
  more: { layers?: number; bundledBytes?: number } = {},
) => ({
  source: { entries: Object.entries(sizes).map(([path, size]) => ({ path, size })) } as unknown as SourceTree,
  config: { runtime } as FunctionConfig,
  layers: Array.from({ length: more.layers ?? 1 }, () => ({}) as LayerInfo),
  bundledBytes: more.bundledBytes ?? 0,
});

describe('a deploy compiles', () => {
  it('node from 32 KiB of scripts on, whatever else there is', () => {
    expect(compiledRuntime(facts('node', { 'index.mjs': 20 * KIB, 'lib/a.cjs': 12 * KIB }))).toBe('node');
    expect(compiledRuntime(facts('node', { 'index.mjs': 31 * KIB, 'photo.png': 900 * KIB }))).toBeNull();
  });

  it('node with dependencies, and a bundle that is large', () => {
    expect(compiledRuntime(facts('node', { 'index.js': 100 }, { layers: 2 }))).toBe('node');
    expect(compiledRuntime(facts('node', { 'index.ts': 90 * KIB }, { bundledBytes: 40 * KIB }))).toBe('node');
    expect(compiledRuntime(facts('node', { 'index.ts': 90 * KIB }, { bundledBytes: 400 }))).toBeNull();
  });

  it('python from 8 KiB of its own files on: dependencies are compiled with their layer', () => {
    expect(compiledRuntime(facts('python', { 'main.py': 9 * KIB }))).toBe('python');
    expect(compiledRuntime(facts('python', { 'main.py': 100 }, { layers: 2 }))).toBeNull();
  });

  it('nothing for other runtimes', () => {
    expect(compiledRuntime(facts('http', { 'server.js': 90 * KIB }, { layers: 2 }))).toBeNull();
    expect(compiledRuntime(facts('image', {}))).toBeNull();
  });
});
