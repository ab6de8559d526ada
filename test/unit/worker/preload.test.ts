import { describe, expect, it } from 'vitest';
import type { FunctionConfig } from '../../../services/core/functions/schema.ts';
import type { SourceTree } from '../../../services/core/functions/source/index.ts';
import { choosePreload } from '../../../services/worker/builder/preload.ts';

const tree = (files: Record<string, string>) =>
  ({
    entries: Object.entries(files).map(([path, text]) => ({ path, kind: 'file', size: text.length })),
    read: async (path: string) => Buffer.from(files[path] ?? ''),
  }) as unknown as SourceTree;
const choose = (files: Record<string, string>, compiled: string[] = [], runtime = 'node') =>
  choosePreload({ runtime } as FunctionConfig, tree(files), compiled);

describe('blanks have loaded of Node', () => {
  it('next to nothing for a function that asks for nothing much', async () => {
    expect(
      await choose({ 'index.mjs': "import { readFile } from 'node:fs/promises';\nexport const handler = () => 1;" }),
    ).toBeUndefined();
    expect(
      await choose({ 'index.mjs': 'export const handler = (event) => event.fetch(1) + prefetch(2);' }),
    ).toBeUndefined();
  });

  it.each([
    "import { randomUUID } from 'node:crypto';",
    "import https from 'https';",
    "const { createServer } = require('node:http');",
    "const tls = await import('node:tls');",
    "import 'node:http2'",
  ])('HTTP and cryptography for %s', async (line) => {
    expect(await choose({ 'lib/a.ts': line })).toBe('web');
    expect(await choose({ 'node_modules/a/index.js': line, 'notes.md': line })).toBeUndefined();
  });

  it('HTTP and cryptography when the compiler saw dependencies that ask for it', async () => {
    expect(await choose({ 'index.js': '' }, ['fs', 'https'])).toBe('web');
    expect(await choose({ 'index.js': '' }, ['fs', 'path'])).toBeUndefined();
  });

  it.each([
    'return new Response("x");',
    'return Response.json({});',
    'await fetch(url)',
    'x instanceof (new Request("http://a/").constructor)',
  ])('fetch and its classes for %s', async (line) => {
    expect(await choose({ 'index.mjs': `import 'node:crypto';\n${line}` })).toBe('fetch');
  });

  it('not what a library in a large bundle may name', async () => {
    expect(await choose({ 'index.mjs': `${'x'.repeat(200_000)}\nnew Response("x")` })).toBeUndefined();
  });

  it('nothing for other runtimes', async () => {
    expect(await choose({ 'server.mjs': "import 'node:https';" }, [], 'http')).toBeUndefined();
  });
});
