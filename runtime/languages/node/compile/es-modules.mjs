/**
 * Code of ES modules, in the cache that Node itself keeps. Node compiles a module when it links it; all are linked below
 * a module whose first import throws, so that none of them is evaluated.
 */
import { chmodSync, readdirSync, renameSync } from 'node:fs';
import { enableCompileCache, flushCompileCache, registerHooks } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const STOP = 'data:text/javascript,throw null';
/** Functions run as this user; Node has a cache a user. */
const FUNCTION_UID = 1000;

/** Adds to the graph what the modules import. */
export async function compileModules(graph, directory) {
  if (graph.modules.size === 0) return;
  enableCompileCache(directory);
  const linked = new Set();
  registerHooks({ load: (url, context, next) => noticed(graph, url, next(url, context)) });
  // What a module imports may name more modules by `import('…')`.
  for (const path of graph.modules) {
    if (!linked.has(path)) await link(path);
    linked.add(path);
  }
  flushCompileCache();
  for (const name of readdirSync(directory)) giveToFunctions(directory, name);
}

/** Node keeps what it wrote to itself. */
function giveToFunctions(directory, name) {
  const folder = join(directory, name.replace(/-\d+$/, `-${FUNCTION_UID}`));
  renameSync(join(directory, name), folder);
  for (const file of readdirSync(folder)) chmodSync(join(folder, file), 0o644);
}

async function link(path) {
  const text = `import ${JSON.stringify(STOP)};\nimport ${JSON.stringify(pathToFileURL(path).href)};\n`;
  try {
    await import(`data:text/javascript,${encodeURIComponent(text)}`);
  } catch {
    // Thrown on purpose; or something can not be found, which who loads it will be told.
  }
}

function noticed(graph, url, loaded) {
  if (url.startsWith('node:')) graph.builtins.add(url.slice('node:'.length));
  else if (url.startsWith('file:')) graph.add(fileURLToPath(url));
  return loaded;
}
