/** A tar from a container into a directory of this machine. */
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract, type Header } from 'tar-stream';
import { isErrno, WaferError } from '../../core/errors.ts';
import { createLocalTree, entryParts, type LocalTree, refuseEntry, staysInside } from './local-tree.ts';

export interface UnpackOptions {
  /** Directory that exists. */
  dir: string;
  /** What the first component of every entry becomes; empty: entries lose it. */
  rename: string;
  /** Makes links that lead out of the copy, too. */
  allLinks: boolean;
}

export interface Unpacked {
  files: number;
  bytes: number;
  /** What was not made, and why. */
  left: { path: string; why: string }[];
}

/** @throws WaferError `invalid_archive` at the first entry that would leave the directory, `not_reachable`, `usage` */
export async function unpackTar(tar: Readable, options: UnpackOptions): Promise<Unpacked> {
  const result: Unpacked = { files: 0, bytes: 0, left: [] };
  const tree = createLocalTree(options.dir);
  const entries = extract();
  const placing = { ...options, destination: createRenamer(options.rename) };
  let broken: Error | null = null;
  tar.once('error', (error) => {
    broken = error;
  });
  const read = async () => {
    for await (const entry of entries) {
      await place(tree, entry.header, entry as AsyncIterable<Buffer>, placing, result);
      entry.resume();
    }
    await tree.finish();
  };
  try {
    // Whichever fails first ends the other.
    const reading = read().catch((error: Error) => {
      entries.destroy(error);
      throw error;
    });
    await Promise.all([reading, pipeline(tar, entries)]);
  } catch (error) {
    throw failure(error, broken !== null, options.dir);
  }
  return result;
}

function failure(error: unknown, isConnection: boolean, dir: string): unknown {
  if (error instanceof WaferError) return error;
  const { message } = error as Error;
  if (isConnection)
    return new WaferError('not_reachable', `The copy to ${dir} is not complete: ${message}.`, { cause: error });
  const code = isErrno(error, 'ENOSPC', 'EDQUOT') ? 'disk_full' : 'usage';
  return new WaferError(code, `It can not be written to ${dir}: ${message}.`, { cause: error });
}

/** Where an entry goes: its first component is what was asked for, the same for all, under its new name. */
function createRenamer(rename: string): (name: string) => string[] {
  let root: string | null = null;
  return (name) => {
    const [first = '', ...below] = entryParts(name);
    root ??= first;
    if (first !== root) throw refuseEntry(name, 'is not below what was asked for');
    return rename === '' ? below : [rename, ...below];
  };
}

async function place(
  tree: LocalTree,
  header: Header,
  content: AsyncIterable<Buffer>,
  { destination, rename, allLinks }: UnpackOptions & { destination: (name: string) => string[] },
  result: Unpacked,
): Promise<void> {
  const parts = destination(header.name);
  const { type = 'file', mode = 0o644, mtime = new Date(0), size = 0, linkname = '' } = header;
  const leave = (why: string) => result.left.push({ path: parts.join('/'), why });
  if (type === 'directory') return tree.dir(parts, mode, mtime);
  if (parts.length === 0) return void leave('it is not a directory');
  if (type === 'symlink') {
    // The renamed first component belongs to the copy as a whole.
    const below = rename === '' ? parts : parts.slice(1);
    const isInside = below.length > 0 && staysInside(below, linkname);
    if (!allLinks && !isInside)
      return void leave(`it is a link to ${linkname}, which is not in the copy; --links makes it`);
    await tree.link(parts, linkname);
  } else if (type === 'link') await tree.hardLink(parts, destination(linkname), mode, mtime);
  else if (type === 'file' || type === 'contiguous-file') {
    await tree.file(parts, mode, mtime, content);
    result.bytes += size;
  } else return void leave(`it is a ${type}`);
  result.files++;
}
