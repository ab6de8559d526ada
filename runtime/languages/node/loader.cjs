'use strict';
/** Finds the handler `file.export` in the code directory and imports it. */
const { existsSync, readdirSync, statSync } = require('node:fs');
const { join } = require('node:path');
const { pathToFileURL } = require('node:url');
const { WaferFailure } = require('./errors.cjs');

const EXTENSIONS = ['.mjs', '.js', '.cjs'];

const notFound = (message) => new WaferFailure('handler_not_found', message);

const listed = (names) => (names.length === 0 ? 'nothing' : names.slice(0, 20).join(', '));

function isFile(path) {
  return existsSync(path) && statSync(path).isFile();
}

function findFile(codePath, file) {
  const found = EXTENSIONS.map((extension) => file + extension).find((name) => isFile(join(codePath, name)));
  if (found !== undefined) return found;
  const wanted = EXTENSIONS.map((extension) => file + extension);
  const has = existsSync(codePath) ? readdirSync(codePath).filter((name) => !name.startsWith('.')) : [];
  throw notFound(
    `There is no ${wanted.slice(0, -1).join(', ')} or ${wanted.at(-1)} in the function; it has ${listed(has)}.`,
  );
}

/** CommonJS exports that the static scan of `import()` missed are only on `default`. */
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

/**
 * Throws a WaferFailure `handler_not_found`, or whatever the module throws while it loads.
 */
async function loadHandler(codePath, handler) {
  const dot = handler.lastIndexOf('.');
  if (dot <= 0 || dot === handler.length - 1)
    throw notFound(`The handler "${handler}" is not of the form file.export.`);
  const exported = handler.slice(dot + 1);
  const file = findFile(codePath, handler.slice(0, dot));
  const module = await import(pathToFileURL(join(codePath, file)).href);
  const found = findExport(module, exported);
  if (typeof found === 'function') return found;
  if (found === undefined)
    throw notFound(`${file} has no export "${exported}"; it exports ${listed(exportNames(module))}.`);
  throw notFound(`The export "${exported}" of ${file} is ${article(found)}, not a function.`);
}

module.exports = { loadHandler };
