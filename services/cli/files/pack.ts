/** A file or a tree of this machine as a tar, its first entry under a name of choice. */
import { constants, createReadStream, type Stats } from 'node:fs';
import { lstat, open, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { WaferError } from '../../core/errors.ts';
import { type TarEntry, tarEnd, tarFile, tarHeader } from '../../core/functions/source/tar-writer.ts';

function entryOf(path: string, name: string, stats: Stats): TarEntry {
  const shared = {
    path: name,
    mode: stats.mode & 0o7777,
    mtime: Math.max(0, Math.floor(stats.mtimeMs / 1000)),
    size: 0,
  };
  if (stats.isDirectory()) return { ...shared, kind: 'dir' };
  if (stats.isFile()) return { ...shared, kind: 'file', size: stats.size };
  if (stats.isSymbolicLink()) return { ...shared, kind: 'symlink' };
  throw new WaferError(
    'usage',
    `${path} is a device, a socket or a pipe; only files, directories and links are copied.`,
  );
}

/** The file must still be one: a link put in its place is not followed. */
async function* contentOf(path: string): AsyncGenerator<Buffer> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  yield* createReadStream('', { fd: handle, highWaterMark: 256 * 1024 });
}

/** Links are copied as links. */
async function* entries(path: string, name: string): AsyncGenerator<Buffer> {
  const stats = await lstat(path);
  const entry = entryOf(path, name, stats);
  if (entry.kind === 'symlink') return yield tarHeader({ ...entry, target: await readlink(path) });
  if (entry.kind === 'file') return yield* tarFile(entry, contentOf(path));
  if (name !== '') yield tarHeader(entry);
  for (const child of (await readdir(path)).sort())
    yield* entries(join(path, child), name === '' ? child : `${name}/${child}`);
}

async function* archive(path: string, name: string): AsyncGenerator<Buffer> {
  yield* entries(path, name);
  yield tarEnd();
}

/** With an empty `name` the content of a directory, without itself. */
export const packPath = (path: string, name: string): Readable =>
  Readable.from(archive(path, name), { objectMode: false });
