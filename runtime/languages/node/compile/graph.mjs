/** The files that a handler may load: what `require` and `import` name by a plain string, wherever it stands. */
import { lstatSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { createRequire, isBuiltin } from 'node:module';
import { dirname, extname, join, sep } from 'node:path';

/** Enough for any function; a graph that has more is compiled as far as this. */
const MAX_FILES = 20_000;
const MAX_BYTES = 64 * 1024 * 1024;
const REQUIRED = /(?:\b|__)(?:require\d*|import)\s*\(\s*(?:'([^'\n]+)'|"([^"\n]+)"|`([^`$\n]+)`)\s*\)/g;

/**
 * `scripts`: path -> bytes of CommonJS files, `modules`: paths of ES modules. Files outside of the function, and what
 * can not be found, are left out: who loads them will find them, or be told.
 */
export function createGraph(codePath) {
  const root = realpathSync(codePath) + sep;
  const kindOf = createKinds(root);
  const graph = { scripts: new Map(), modules: new Set(), builtins: new Set(), add };
  const seen = new Set();
  let bytes = 0;

  function add(path) {
    const waiting = [path];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) waiting.push(...visit(next));
  }

  /** @returns the files that it names */
  function visit(path) {
    if (seen.has(path) || !path.startsWith(root) || seen.size >= MAX_FILES) return [];
    seen.add(path);
    const kind = kindOf(path);
    if (kind === 'other' || !statSync(path).isFile()) return [];
    const source = readFileSync(path);
    bytes += source.length;
    if (bytes > MAX_BYTES) return [];
    if (kind === 'module') graph.modules.add(path);
    else graph.scripts.set(path, source);
    return named(path, source.toString());
  }

  function named(path, text) {
    const require = createRequire(path);
    const found = [];
    for (const [, ...names] of text.matchAll(REQUIRED)) {
      const name = names.find((one) => one !== undefined);
      if (isBuiltin(name)) graph.builtins.add(name.replace(/^node:/, ''));
      else found.push(...resolved(require, name));
    }
    return found;
  }
  return graph;
}

function resolved(require, name) {
  try {
    return [require.resolve(name)];
  } catch {
    return []; // optional, or made later
  }
}

/** How Node would load a file: by its name, and by the package that it is in. */
function createKinds(root) {
  const types = new Map();
  const typeOf = (folder) => {
    const known = types.get(folder);
    if (known !== undefined) return known;
    const own = readType(join(folder, 'package.json'));
    const isTop = `${folder}${sep}` === root || folder.endsWith(`${sep}node_modules`) || folder.length < root.length;
    const type = own ?? (isTop ? 'commonjs' : typeOf(dirname(folder)));
    types.set(folder, type);
    return type;
  };
  return (path) => {
    const extension = extname(path);
    if (extension === '.mjs') return 'module';
    if (extension === '.cjs') return 'script';
    if (extension !== '.js') return 'other';
    return typeOf(dirname(path)) === 'module' ? 'module' : 'script';
  };
}

/** Null without the file, for then the folder above decides. */
function readType(path) {
  if (lstatSync(path, { throwIfNoEntry: false })?.isFile() !== true) return null;
  try {
    return JSON.parse(readFileSync(path, 'utf8'))?.type === 'module' ? 'module' : 'commonjs';
  } catch {
    return 'commonjs';
  }
}
