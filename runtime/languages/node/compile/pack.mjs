/**
 * Code of CommonJS files in one file, for code-cache.cjs. All functions of a file are compiled, for which of them its
 * loading runs is only known by running it.
 *
 *   "WAFERJS1", u32 length of the index, index (JSON), data
 *   index: path below the code path -> [offset in data, bytes, CRC-32 of the source, CRC-32 of the code, is ASCII (0, 1)]
 */
import { isAscii } from 'node:buffer';
import { mkdirSync, writeFileSync } from 'node:fs';
import { Module } from 'node:module';
import { dirname, relative } from 'node:path';
import v8 from 'node:v8';
import vm from 'node:vm';
import { crc32 } from 'node:zlib';

const MAGIC = 'WAFERJS1';

/** @returns how many files have code in it; without any there is no pack */
export function writePack(graph, codePath, target) {
  const index = {};
  const parts = [];
  let offset = 0;
  for (const [path, source] of [...graph.scripts].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const code = compile(path, source.toString());
    if (code === null) continue;
    index[relative(codePath, path)] = [offset, code.length, crc32(source), crc32(code), isAscii(source) ? 1 : 0];
    parts.push(code);
    offset += code.length;
  }
  if (parts.length === 0) return 0;
  const head = Buffer.from(JSON.stringify(index));
  const start = Buffer.alloc(12);
  start.write(MAGIC);
  start.writeUInt32LE(head.length, 8);
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, Buffer.concat([start, head, ...parts]));
  return parts.length;
}

/** Null for what is no CommonJS after all. The flag is part of what V8 compares: it is off again when the code is taken. */
function compile(filename, source) {
  v8.setFlagsFromString('--no-lazy');
  try {
    const script = new vm.Script(Module.wrap(source), {
      filename,
      importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
    });
    v8.setFlagsFromString('--lazy');
    return script.createCachedData();
  } catch {
    return null;
  } finally {
    v8.setFlagsFromString('--lazy');
  }
}
