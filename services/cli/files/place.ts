/** The two ends of `wafer cp`. */
import { posix } from 'node:path';
import { WaferError } from '../../core/errors.ts';

export type Place =
  | { kind: 'inside'; container: string; path: string }
  | { kind: 'local'; path: string }
  /** A tar on stdin or stdout. */
  | { kind: 'stream' };

/** `NAME:/path`; a local path with a colon begins with `/`, `./` or `../`. */
export function readPlace(text: string): Place {
  if (text === '-') return { kind: 'stream' };
  const colon = text.indexOf(':');
  if (colon > 0 && !/^[./~]/.test(text)) {
    const path = text.slice(colon + 1);
    if (path === '') throw new WaferError('usage', `${text} has no path.`, { hint: `Write ${text}/path.` });
    return { kind: 'inside', container: text.slice(0, colon), path: plainPath(path) };
  }
  return { kind: 'local', path: text };
}

/** From the root, without `..`; an ending that means "directory" stays. */
function plainPath(path: string): string {
  const plain = posix.resolve('/', path);
  if (plain === '/') return plain;
  return meansContent(path) ? `${plain}/.` : path.endsWith('/') ? `${plain}/` : plain;
}

/** The path itself, as the API takes it. */
export const withoutEnding = (path: string): string => path.replace(/\/\.?$/, '') || '/';

/** Last name of a path; empty for the root. */
export const lastName = (path: string): string =>
  path
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .at(-1) ?? '';

/** `/a/b` of `/a/b/c`, `/` of `/a`. */
export function parentOf(path: string): string {
  const parts = path.split('/').filter((part) => part !== '');
  return `/${parts.slice(0, -1).join('/')}`;
}

/** What is meant is the content, not the directory: `dir/.`. */
export const meansContent = (path: string): boolean => path === '.' || path.endsWith('/.');
/** What is meant must be a directory: `dir/`, `dir/.`. */
export const meansDirectory = (path: string): boolean => path.endsWith('/') || meansContent(path);

export type Kind = 'file' | 'dir' | 'missing';

export interface Target {
  /** Directory to write into, which exists. */
  dir: string;
  /** Name that the source has there; empty: its content goes into `dir` itself. */
  name: string;
}

/**
 * Docker's rules: into a directory that is there, under the source's name; else as the new name. Of `dir/.` only
 * the content. `join` is the parent and the last name of the destination.
 * @throws WaferError `usage`
 */
export function chooseTarget(
  source: { path: string; isDir: boolean; name: string },
  destination: { path: string; kind: Kind; parent: string; name: string; shown: string },
): Target {
  const { path, kind, parent, name, shown } = destination;
  if (kind === 'dir') return { dir: path, name: source.isDir && meansContent(source.path) ? '' : source.name };
  if (kind === 'file') {
    if (source.isDir) throw new WaferError('usage', `${shown} is a file; a directory can not be copied over it.`);
    if (meansDirectory(path)) throw new WaferError('usage', `${shown} is a file, not a directory.`);
  }
  if (kind === 'missing' && !source.isDir && meansDirectory(path))
    throw new WaferError('usage', `There is no directory ${shown}.`, {
      hint: 'Make it first, or leave out the slash.',
    });
  return { dir: parent, name };
}
