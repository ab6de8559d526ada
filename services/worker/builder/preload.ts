/**
 * What of Node a function's blanks should have loaded already. Node loads its own modules when they are first asked for:
 * TLS and cryptography in seven milliseconds, `fetch` in fifteen; and each is megabytes that an instance keeps. So there
 * are blanks without them, for functions that need none.
 */
import type { FunctionConfig } from '../../core/functions/schema.ts';
import type { SourceTree } from '../../core/functions/source/index.ts';
import type { Preload } from '../../core/functions/types.ts';

const WEB = new Set(['crypto', 'http', 'http2', 'https', 'tls']);
const SCRIPT = /\.[cm]?[jt]sx?$/;
const NAMED = /(?:\bfrom|\bimport|\brequire\s*\(|\bimport\s*\()\s*['"](?:node:)?([a-z0-9]+)['"]/g;
const FETCH = /\bnew (?:Request|Response|Headers)\b|\bResponse\.(?:json|redirect|error)\(|(?<![.\w#])fetch\(/;
/** In what is larger, a bundle, somebody's library names everything. */
const MAX_FETCH_BYTES = 128 * 1024;
const MAX_FILES = 100;
const MAX_BYTES = 1024 * 1024;

/** A guess by the text; a wrong one only costs time or memory. `compiled`: modules that the compiler saw named. */
export async function choosePreload(
  { runtime }: FunctionConfig,
  source: SourceTree,
  compiled: readonly string[],
): Promise<Preload | undefined> {
  if (runtime !== 'node') return undefined;
  let found: Preload | undefined = compiled.some((name) => WEB.has(name)) ? 'web' : undefined;
  for (const { path } of scripts(source)) {
    const text = (await source.read(path)).toString('latin1');
    if (text.length <= MAX_FETCH_BYTES && FETCH.test(text)) return 'fetch';
    if (found === undefined && [...text.matchAll(NAMED)].some(([, name = '']) => WEB.has(name))) found = 'web';
  }
  return found;
}

const scripts = ({ entries }: SourceTree) =>
  entries
    .filter(({ kind, path, size }) => kind === 'file' && size <= MAX_BYTES && SCRIPT.test(path))
    .filter(({ path }) => !path.startsWith('node_modules/') && !path.includes('/node_modules/'))
    .slice(0, MAX_FILES);
