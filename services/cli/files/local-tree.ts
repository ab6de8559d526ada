/**
 * Writing files of a tar into a directory of this machine, where the tar comes from a container
 * that may be hostile. Nothing outside of the directory is touched, whatever the names say and
 * whatever links are there already:
 *
 *   every component below the directory is looked at, without following it, before it is passed
 *   a link in the way of a directory is an error, a link in the way of a file is replaced
 *   files are made new, so that none is written through
 */
import { constants, type Stats } from 'node:fs';
import { chmod, lstat, lutimes, mkdir, open, readdir, rm, symlink, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno, WaferError } from '../../core/errors.ts';

/** Set-id bits do not travel: the owner here is another one. */
const PERMISSIONS = 0o777;
/** Deeper than any tree that people make; path lengths end before it. */
const MAX_DEPTH = 512;

export const refuseEntry = (name: string, why: string) =>
  new WaferError(
    'invalid_archive',
    `The container's archive is refused: ${JSON.stringify(name.slice(0, 200))} ${why}.`,
    {
      hint: 'Nothing was written outside of the destination.',
    },
  );

/** Components of an entry's name, `.` left out. @throws WaferError `invalid_archive` for `..`, absolute, NUL */
export function entryParts(name: string): string[] {
  if (name.startsWith('/')) throw refuseEntry(name, 'is absolute');
  if (name.includes('\0')) throw refuseEntry(name, 'has a NUL');
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) throw refuseEntry(name, 'goes up');
  if (parts.length > MAX_DEPTH) throw refuseEntry(name, `is more than ${MAX_DEPTH} deep`);
  return parts;
}

/**
 * A link whose target is in what was copied with it; `from` is the link's place there. `..` only at its
 * beginning: behind a name that is itself a link, it would lead elsewhere than it says.
 */
export function staysInside(from: readonly string[], target: string): boolean {
  if (target === '' || target.startsWith('/')) return false;
  const parts = target.split('/').filter((part) => part !== '' && part !== '.');
  const ups = parts.findIndex((part) => part !== '..');
  const leading = ups === -1 ? parts.length : ups;
  return leading <= from.length - 1 && !parts.slice(leading).includes('..');
}

async function look(path: string): Promise<Stats | null> {
  try {
    return await lstat(path);
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return null;
    throw error;
  }
}

export interface LocalTree {
  dir(parts: readonly string[], mode: number, mtime: Date): Promise<void>;
  file(parts: readonly string[], mode: number, mtime: Date, content: AsyncIterable<Buffer>): Promise<void>;
  link(parts: readonly string[], target: string): Promise<void>;
  /** A second name of a file of this archive; it becomes a copy. */
  hardLink(parts: readonly string[], target: readonly string[], mode: number, mtime: Date): Promise<void>;
  /** Sets modes and times of the directories: last, since a mode may forbid writing. */
  finish(): Promise<void>;
}

async function writeFile(path: string, content: AsyncIterable<Buffer | Uint8Array>): Promise<void> {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const handle = await open(path, flags, 0o600);
  try {
    for await (const chunk of content) await handle.writeFile(chunk);
  } finally {
    await handle.close();
  }
}

/** `root` exists and is the caller's choice; it may itself be reached through links. */
export function createLocalTree(root: string): LocalTree {
  const made = new Map<string, { mode: number; mtime: Date }>();
  const at = (parts: readonly string[]) => join(root, ...parts);

  async function passable(parts: readonly string[]): Promise<void> {
    for (let depth = 1; depth <= parts.length; depth++) {
      const path = at(parts.slice(0, depth));
      const stats = await look(path);
      if (stats === null) await mkdir(path, 0o700);
      else if (!stats.isDirectory())
        throw refuseEntry(
          parts.join('/'),
          `would go through ${path}, which is ${stats.isSymbolicLink() ? 'a link' : 'a file'} here`,
        );
    }
  }
  async function clear(parts: readonly string[]): Promise<string> {
    await passable(parts.slice(0, -1));
    const path = at(parts);
    const stats = await look(path);
    if (stats?.isDirectory()) {
      if ((await readdir(path)).length > 0) throw refuseEntry(parts.join('/'), `would replace the directory ${path}`);
      await rm(path, { recursive: true });
    } else if (stats !== null) await unlink(path);
    return path;
  }
  async function dress(path: string, mode: number, mtime: Date): Promise<void> {
    await chmod(path, mode & PERMISSIONS);
    await lutimes(path, mtime, mtime);
  }

  return {
    async dir(parts, mode, mtime) {
      await passable(parts);
      if (parts.length > 0) made.set(at(parts), { mode, mtime });
    },
    async file(parts, mode, mtime, content) {
      const path = await clear(parts);
      await writeFile(path, content);
      await dress(path, mode, mtime);
    },
    async link(parts, target) {
      await symlink(target, await clear(parts));
    },
    async hardLink(parts, target, mode, mtime) {
      await passable(target.slice(0, -1));
      const source = at(target);
      if (!(await look(source))?.isFile()) throw refuseEntry(parts.join('/'), 'is a hard link to what is not in it');
      if (source === at(parts)) return;
      const path = await clear(parts);
      const handle = await open(source, constants.O_RDONLY | constants.O_NOFOLLOW);
      await writeFile(path, handle.createReadStream() as AsyncIterable<Buffer>);
      await dress(path, mode, mtime);
    },
    async finish() {
      for (const [path, { mode, mtime }] of [...made].reverse()) await dress(path, mode, mtime);
    },
  };
}
