'use strict';
/** Finds the handler `file.export` in the code directory and loads it. */
const { existsSync, readdirSync, statSync } = require('node:fs');
const { createRequire } = require('node:module');
const { join } = require('node:path');
const { pathToFileURL } = require('node:url');
const { isModuleNamespaceObject } = require('node:util/types');
const { WaferFailure } = require('./errors.cjs');

const EXTENSIONS = ['.mjs', '.js', '.cjs'];

const notFound = (message) => new WaferFailure('handler_not_found', message);

const listed = (names) => (names.length === 0 ? 'nothing' : names.slice(0, 20).join(', '));

const isFile = (path) => statSync(path, { throwIfNoEntry: false })?.isFile() === true;

function findFile(codePath, file) {
  const found = EXTENSIONS.map((extension) => file + extension).find((name) => isFile(join(codePath, name)));
  if (found !== undefined) return found;
  const wanted = EXTENSIONS.map((extension) => file + extension);
  const has = existsSync(codePath) ? readdirSync(codePath).filter((name) => !name.startsWith('.')) : [];
  throw notFound(
    `There is no ${wanted.slice(0, -1).join(', ')} or ${wanted.at(-1)} in the function; it has ${listed(has)}.`,
  );
}

/** CommonJS exports are only on `default`. */
function findExport(module, name) {
  if (name in module) return module[name];
  const inner = module.default;
  return inner !== null && (typeof inner === 'object' || typeof inner === 'function') ? inner[name] : undefined;
}

function exportNames(module) {
  const inner = module.default;
  const more = typeof inner === 'object' && inner !== null ? Object.keys(inner) : [];
  return [...new Set([...Object.keys(module), ...more])].filter((name) => name !== 'module.exports');
}

const article = (value) => (value === null ? 'null' : `a${/^[aeiou]/.test(typeof value) ? 'n' : ''} ${typeof value}`);

/** What `require` says, before it has run anything, of a module that only `import()` can load. */
const ONLY_BY_IMPORT = new Set(['ERR_REQUIRE_ESM', 'ERR_REQUIRE_ASYNC_MODULE']);

/**
 * The module, or a promise of it. `require` loads an ES module without a hop through a thread of the pool, and does not
 * scan CommonJS for the names that it exports, which takes longer than to compile it.
 */
function load(path) {
  try {
    const loaded = createRequire(path)(path);
    return isModuleNamespaceObject(loaded) ? loaded : { default: loaded };
  } catch (error) {
    if (path.endsWith('.cjs') || !ONLY_BY_IMPORT.has(error?.code)) throw error;
  }
  return import(pathToFileURL(path).href);
}

function chooseExport(module, name, file) {
  const found = findExport(module, name);
  if (typeof found === 'function') return found;
  if (found === undefined)
    throw notFound(`${file} has no export "${name}"; it exports ${listed(exportNames(module))}.`);
  throw notFound(`The export "${name}" of ${file} is ${article(found)}, not a function.`);
}

/**
 * The handler, or a promise of it. Throws a WaferFailure `handler_not_found`, or whatever the module throws while it
 * loads.
 */
function loadHandler(codePath, handler) {
  const dot = handler.lastIndexOf('.');
  if (dot <= 0 || dot === handler.length - 1)
    throw notFound(`The handler "${handler}" is not of the form file.export.`);
  const name = handler.slice(dot + 1);
  const file = findFile(codePath, handler.slice(0, dot));
  const loaded = load(join(codePath, file));
  return loaded instanceof Promise
    ? loaded.then((module) => chooseExport(module, name, file))
    : chooseExport(loaded, name, file);
}

module.exports = { loadHandler };
