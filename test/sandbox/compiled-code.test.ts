/** Code that is compiled when a version is built: by our compiler in a build sandbox, used by the runtime in another one. */
import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { crc32 } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { InitResult } from '../../runtime/protocol/index.ts';
import { readOnly } from '../../services/worker/builder/typescript.ts';
import { closeLab, compileLayers, debugOutput, type Files, layerOf, openLab, run } from './compile-lab.ts';

beforeAll(openLab);
afterAll(closeLab);

async function fileOf(bytes: Buffer, name: string): Promise<Buffer> {
  const found = await readOnly(Readable.from([bytes]), name);
  if (found === null) throw new Error(`the layer has no ${name}`);
  return found;
}

/** The code of every file with another hash of V8's flags in its head, and sums that fit. */
function withOtherFlags(pack: Buffer): Buffer {
  const start = 12 + pack.readUInt32LE(8);
  const index = JSON.parse(pack.toString('utf8', 12, start)) as Record<
    string,
    [number, number, number, number, number]
  >;
  for (const entry of Object.values(index)) {
    const code = pack.subarray(start + entry[0], start + entry[0] + entry[1]);
    code.writeUInt32LE((code.readUInt32LE(12) ^ 1) >>> 0, 12);
    entry[3] = crc32(code);
  }
  const head = Buffer.from(JSON.stringify(index));
  const first = Buffer.from(pack.subarray(0, 12));
  first.writeUInt32LE(head.length, 8);
  return Buffer.concat([first, head, pack.subarray(start)]);
}

const cacheOf = (init: InitResult) => (init.kind === 'ok' ? init.codeCache : undefined);

const LIB = `
console.log('lib runs');
exports.twice = (n) => 2 * n;
`;
const INDEX = `
console.log('index runs');
if (process.env.WAFER_FUNCTION === undefined) for (;;);
const { twice } = require('./lib.cjs');
exports.handler = async (event) => ({ twice: twice(event.n), stack: new Error('here').stack.split('\\n')[1] });
const https = () => require('node:https');
`;
const SCRIPTS: Files = { 'index.cjs': INDEX, 'lib.cjs': LIB };

describe('code of a node function', () => {
  it('is compiled at build without being run, and used when it is loaded', async () => {
    const code = await layerOf(SCRIPTS);
    const made = await compileLayers('node', 'index.handler', [code]);
    expect(made.output).toEqual([]);
    expect(made.builtins).toEqual(['https']);
    const { init, value, lines } = await run('node', 'index.handler', [code, String(made.layer)]);
    expect(cacheOf(init)).toEqual({ used: 2, refused: 0 });
    expect(value).toMatchObject({ twice: 2, stack: expect.stringContaining('/function/index.cjs:5:') });
    expect(lines).toEqual(['index runs', 'lib runs']);
  });

  it('is the same, byte by byte, when it is compiled again', async () => {
    const code = await layerOf({ ...SCRIPTS, 'other.mjs': "import './lib.cjs';\nexport const handler = () => 1;\n" });
    for (const handler of ['index.handler', 'other.handler']) {
      const [first, second] = [
        await compileLayers('node', handler, [code]),
        await compileLayers('node', handler, [code]),
      ];
      expect(first.tar.length).toBeGreaterThan(1000);
      expect(second.tar.equals(first.tar)).toBe(true);
    }
  });

  it('is compiled again at load when a layer above has another source of the same length', async () => {
    const code = await layerOf(SCRIPTS);
    const { layer } = await compileLayers('node', 'index.handler', [code]);
    const changed = await layerOf({ 'lib.cjs': LIB.replace('2 * n', '3 * n') });
    const { init, value } = await run('node', 'index.handler', [code, String(layer), changed]);
    expect(cacheOf(init)).toEqual({ used: 1, refused: 1 });
    expect(value).toMatchObject({ twice: 3 });
  });

  it.each([
    [
      'one bit of the code is another',
      (pack: Buffer) => pack.fill((pack.at(-9) ?? 0) ^ 4, pack.length - 9, pack.length - 8),
    ],
    ['it ends early', (pack: Buffer) => pack.subarray(0, pack.length - 40)],
    ['it ends within its index', (pack: Buffer) => pack.subarray(0, 30)],
    ['it is something else', () => randomBytes(5000)],
    [
      'its index claims more than there is',
      (pack: Buffer) => {
        pack.writeUInt32LE(0xffffffff, 8);
        return pack;
      },
    ],
  ])('is compiled again at load when %s', async (_what, damage) => {
    const code = await layerOf(SCRIPTS);
    const { layer, tar: bytes } = await compileLayers('node', 'index.handler', [code]);
    const damaged = await layerOf({ '.wafer/code': damage(await fileOf(bytes, 'function/.wafer/code')) });
    const { init, value } = await run('node', 'index.handler', [code, String(layer), damaged]);
    expect(cacheOf(init)?.used ?? 0).toBeLessThan(2);
    expect(value).toMatchObject({ twice: 2 });
  });

  it('is refused by V8 when it was compiled under other flags', async () => {
    const code = await layerOf(SCRIPTS);
    const { tar: bytes } = await compileLayers('node', 'index.handler', [code]);
    const pack = await fileOf(bytes, 'function/.wafer/code');
    const other = await layerOf({ '.wafer/code': withOtherFlags(pack) });
    const { init, value } = await run('node', 'index.handler', [code, other]);
    expect(cacheOf(init)).toEqual({ used: 0, refused: 2 });
    expect(value).toMatchObject({ twice: 2 });
  });
});

const MODULES: Files = {
  'index.mjs': `
import { getCompileCacheDir } from 'node:module';
import { createHash } from 'node:crypto';
import { name } from './name.mjs';
import lib from './lib.cjs';
console.log('index runs');
if (process.env.WAFER_FUNCTION === undefined) process.exit(7);
export const handler = (event) => ({ name, twice: lib.twice(event.n), cache: getCompileCacheDir() });
`,
  'name.mjs': "console.log('name runs');\nexport const name = 'a module';\n",
  'lib.cjs': LIB,
};

describe('modules of a node function', () => {
  it('are compiled at build without being evaluated, with the scripts that they import', async () => {
    const code = await layerOf(MODULES);
    const made = await compileLayers('node', 'index.handler', [code]);
    expect(made.output).toEqual([]);
    expect(made.builtins).toContain('crypto');
    const { init, value, lines } = await run('node', 'index.handler', [code, String(made.layer)]);
    expect(cacheOf(init)).toEqual({ used: 1, refused: 0 });
    expect(value).toMatchObject({
      name: 'a module',
      twice: 2,
      cache: expect.stringMatching(/^\/function\/\.wafer\/modules\/v24.*-1000$/),
    });
    expect(lines).toEqual(['name runs', 'lib runs', 'index runs']);
  });

  it('are taken from the cache by the user that functions run as', async () => {
    const code = await layerOf(MODULES);
    const { layer } = await compileLayers('node', 'index.handler', [code]);
    const output = await debugOutput([code, String(layer)]);
    expect(output).toMatch(/code cache for ESM file:\/\/\/function\/index\.mjs was accepted/);
    expect(output).toMatch(/code cache for ESM file:\/\/\/function\/name\.mjs was accepted/);
  });

  it('are compiled again at load when a layer above has another source', async () => {
    const code = await layerOf(MODULES);
    const { layer } = await compileLayers('node', 'index.handler', [code]);
    const changed = await layerOf({ 'name.mjs': String(MODULES['name.mjs']).replace('a module', 'b module') });
    const { value } = await run('node', 'index.handler', [code, String(layer), changed]);
    expect(value).toMatchObject({ name: 'b module' });
  });
});

/** What is named anywhere is compiled; what is in another folder of dependencies, or not there, stops nothing. */
const PACKAGES: Files = {
  'package.json': '{"type":"module"}',
  'index.js': `
import { one } from 'one';
export const handler = async (event) => ({ one, late: (await import('./late.js')).late, two: await two() });
const two = async () => (await import('two')).default.value;
const __require = (name) => name;
__require('node:tls');
`,
  'late.js': "export const late = 'late';",
  'node_modules/one/package.json': '{"name":"one","exports":{"import":"./one.mjs","require":"./one.cjs"}}',
  'node_modules/one/one.mjs': "import inner from './inner.cjs';\nexport const one = inner;\n",
  'node_modules/one/one.cjs': "throw new Error('not this one');\n",
  'node_modules/one/inner.cjs': "try { require('not-there'); } catch {}\nmodule.exports = require('two').value + 1;\n",
  'node_modules/two/package.json': '{"name":"two","main":"lib/two"}',
  'node_modules/two/lib/two.js': '#!/usr/bin/env node\nexports.value = require("./data.json").value;\n',
  'node_modules/two/lib/data.json': '{"value":1}',
};

describe('packages of a node function', () => {
  it('are followed as Node does', async () => {
    const code = await layerOf(PACKAGES);
    const made = await compileLayers('node', 'index.handler', [code]);
    expect(made.builtins).toEqual(['tls']);
    const { init, value } = await run('node', 'index.handler', [code, String(made.layer)]);
    expect(value).toEqual({ one: 2, late: 'late', two: 1 });
    // A file with a shebang is compiled by Node alone.
    expect(cacheOf(init)).toEqual({ used: 1, refused: 0 });
    const output = await debugOutput([code, String(made.layer)], 'index.js');
    for (const path of ['index.js', 'node_modules/one/one.mjs'])
      expect(output).toContain(`code cache for ESM file:///function/${path} was accepted`);
  });
});

describe('a function that can not be compiled ahead', () => {
  it('has no layer of it, and says why when it is loaded', async () => {
    const code = await layerOf({ 'index.cjs': 'exports.handler = (' });
    expect((await compileLayers('node', 'index.handler', [code])).layer).toBeNull();
    const { init } = await run('node', 'index.handler', [code]);
    expect(init).toMatchObject({ kind: 'error', code: 'function_init_failed', errorType: 'SyntaxError' });
  });
});

const PYTHON: Files = {
  'main.py': `
import os, sys
compiled = []
sys.addaudithook(lambda name, args: compiled.append(args[1]) if name == "compile" else None)
import lib, package.part
if "WAFER_FUNCTION" not in os.environ:
    sys.exit(7)
def handler(event, context):
    return {"twice": lib.twice(event["n"]), "known": package.part.known("a"), "compiled": compiled}
`,
  'lib.py': 'def twice(n):\n    return 2 * n\n',
  'package/__init__.py': '',
  'package/part.py': 'def known(name):\n    return name in {"a", "b", "c", "d", "e"}\n',
  'broken.py': 'def (',
};

describe('byte code of a python function', () => {
  it('is made at build without running anything, and loaded without compiling', async () => {
    const code = await layerOf(PYTHON);
    const { layer, output } = await compileLayers('python', 'main.handler', [code]);
    expect(output).toEqual([]);
    const { value } = await run('python', 'main.handler', [code, String(layer)]);
    expect(value).toEqual({ twice: 2, known: true, compiled: [] });
    const { value: without } = await run('python', 'main.handler', [code]);
    const all = ['/function/lib.py', '/function/package/__init__.py', '/function/package/part.py'];
    expect(without).toMatchObject({ compiled: all });
  });

  it('is the same, byte by byte, when it is made again', async () => {
    const code = await layerOf(PYTHON);
    const [first, second] = [
      await compileLayers('python', 'main.handler', [code]),
      await compileLayers('python', 'main.handler', [code]),
    ];
    expect(second.tar.equals(first.tar)).toBe(true);
  });

  it('is not taken when a layer above has another source', async () => {
    const code = await layerOf(PYTHON);
    const { layer } = await compileLayers('python', 'main.handler', [code]);
    const changed = await layerOf({ 'lib.py': String(PYTHON['lib.py']).replace('2', '3') });
    const { value } = await run('python', 'main.handler', [code, String(layer), changed]);
    expect(value).toMatchObject({ twice: 3, compiled: ['/function/lib.py'] });
  });
});
