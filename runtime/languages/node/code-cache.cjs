'use strict';
/**
 * Code that was compiled when the version was built (compile/), used when it is loaded. What is not as it was then is
 * compiled as if there were none: a source with other bytes, code that is damaged, or that V8 refuses because it comes
 * from another build of Node or another processor.
 */
const { closeSync, existsSync, fstatSync, openSync, readSync } = require('node:fs');
const Module = require('node:module');
const { dirname, relative } = require('node:path');
const { constants, Script } = require('node:vm');

const MAGIC = 'WAFERJS1';
const HEAD_BYTES = 12;
const [BEFORE, AFTER] = Module.wrapper;
const FIRST_READ_BYTES = 65_536;

/** @returns `{used, refused}`, which go on counting while files are loaded; null without a cache */
function useCodeCache(codePath) {
  const folder = `${codePath}/.wafer`;
  if (!existsSync(folder)) return null;
  const counts = { used: 0, refused: 0 };
  // Read-only, so nothing is written to it; Node checks what it takes from it.
  if (existsSync(`${folder}/modules`)) Module.enableCompileCache?.(`${folder}/modules`);
  const pack = openPack(`${folder}/code`);
  if (pack !== null) install(pack, codePath, counts);
  return counts;
}

/** Stays open: modules are loaded at any time. */
function openPack(path) {
  let fd;
  try {
    fd = openSync(path, 'r');
    const { index, start } = readIndex(fd);
    return { index, read: (offset, length) => readExactly(fd, start + offset, length) };
  } catch {
    if (fd !== undefined) closeSync(fd);
    return null; // there is none, or it is none
  }
}

function readIndex(fd) {
  const first = Buffer.allocUnsafe(FIRST_READ_BYTES);
  const have = readSync(fd, first, 0, FIRST_READ_BYTES, 0);
  if (have < HEAD_BYTES || first.latin1Slice(0, MAGIC.length) !== MAGIC) throw new Error('no pack');
  const start = HEAD_BYTES + first.readUInt32LE(MAGIC.length);
  const head = start <= have ? first.subarray(0, start) : readExactly(fd, 0, start);
  return { index: JSON.parse(head.utf8Slice(HEAD_BYTES)), start };
}

function readExactly(fd, position, length) {
  const bytes = Buffer.allocUnsafeSlow(length);
  if (readSync(fd, bytes, 0, length, position) !== length) throw new Error('the pack ends early');
  return bytes;
}

/** In front of what loads CommonJS. Where somebody else has put theirs there, or has its own compiler, it stays out. */
function install(pack, codePath, counts) {
  const { crc32 } = require('node:zlib');
  const load = Module._extensions['.js'];
  const { _compile } = Module.prototype;
  const read = (filename) => {
    const entry = pack.index[relative(codePath, filename)];
    if (entry === undefined) return null;
    const [offset, length, sourceSum, codeSum, isAscii] = entry;
    const wrapped = readWrapped(filename);
    if (crc32(wrapped.subarray(BEFORE.length, -AFTER.length)) !== sourceSum) return null;
    const code = pack.read(offset, length);
    if (crc32(code) !== codeSum) return null;
    return { source: isAscii === 1 ? wrapped.latin1Slice() : wrapped.utf8Slice(), code };
  };
  const compiled = (filename) => {
    try {
      const found = read(filename);
      return found === null ? null : makeScript(filename, found);
    } catch {
      return null; // whatever it is, Node's own loader will say it better
    }
  };
  Module._extensions['.js'] = (module, filename) => {
    if (!Object.hasOwn(pack.index, relative(codePath, filename)) || module._compile !== _compile)
      return load(module, filename);
    const script = compiled(filename);
    counts[script === null ? 'refused' : 'used'] += 1;
    if (script === null) return load(module, filename);
    const wrapper = script.runInThisContext();
    wrapper.call(module.exports, module.exports, requireOf(module), module, filename, dirname(filename));
  };
}

/** What Node does with a string, done with bytes: each copy of a large source is a millisecond. */
function readWrapped(filename) {
  const fd = openSync(filename, 'r');
  try {
    const { size } = fstatSync(fd);
    const wrapped = Buffer.allocUnsafeSlow(BEFORE.length + size + AFTER.length);
    wrapped.latin1Write(BEFORE, 0);
    if (readSync(fd, wrapped, BEFORE.length, size, 0) !== size) throw new Error('the source ends early');
    wrapped.latin1Write(AFTER, BEFORE.length + size);
    return wrapped;
  } finally {
    closeSync(fd);
  }
}

function makeScript(filename, { source, code }) {
  const script = new Script(source, {
    filename,
    cachedData: code,
    columnOffset: -BEFORE.length,
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  });
  return script.cachedDataRejected ? null : script;
}

/** As Node makes it, which does not give it away. */
function requireOf(module) {
  const require = (name) => module.require(name);
  require.resolve = (name, options) => Module._resolveFilename(name, module, false, options);
  require.resolve.paths = (name) => Module._resolveLookupPaths(name, module);
  require.main = process.mainModule;
  require.extensions = Module._extensions;
  require.cache = Module._cache;
  return require;
}

module.exports = { useCodeCache };
