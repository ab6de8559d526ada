/** Packs a folder for a deploy: what `wafer deploy` sends. Runs at the user's side, on the user's own files. */
import { constants, createReadStream } from 'node:fs';
import { lstat, open, readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { createGzip } from 'node:zlib';
import { isErrno, WaferError } from '../../errors.ts';
import { parseContextIgnore } from '../../images/dockerfile/ignore.ts';
import { type IgnoreTest, parseIgnoreFile } from './ignore-file.ts';
import { isJunk } from './junk.ts';
import { type TarEntry, tarEnd, tarFile, tarHeader } from './tar-writer.ts';

export interface PackedFolder {
  /** A tar.gz; the same tree gives the same bytes. Errors if a file changes while it is read. */
  stream: Readable;
  /** Files and links in it. */
  files: number;
}

/** Text of a file directly in the folder; null when it is not there. */
async function readOptional(dir: string, name: string): Promise<string | null> {
  try {
    return await readFile(join(dir, name), 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return null;
    throw new WaferError('invalid_request', `${join(dir, name)} can not be read: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

/** The text of the folder's wafer.json, not parsed; null when there is none. */
export function readFolderConfig(dir: string): Promise<string | null> {
  return readOptional(dir, 'wafer.json');
}

async function assertFolder(dir: string): Promise<void> {
  const stats = await lstat(`${dir}/.`).catch((cause: unknown) => {
    throw new WaferError('invalid_request', `There is no folder ${dir}.`, {
      cause,
      hint: 'Name the folder to deploy.',
    });
  });
  if (!stats.isDirectory()) throw new WaferError('invalid_request', `${dir} is not a folder.`);
}

async function describe(dir: string, path: string, exactModes: boolean): Promise<TarEntry> {
  const full = join(dir, path);
  const stats = await lstat(full);
  const bits = exactModes ? stats.mode & 0o7777 : undefined;
  if (stats.isDirectory()) return { kind: 'dir', path, mode: bits ?? 0o755, size: 0 };
  if (stats.isSymbolicLink()) return { kind: 'symlink', path, mode: 0o777, size: 0, target: await readlink(full) };
  if (stats.isFile())
    return { kind: 'file', path, mode: bits ?? (stats.mode & 0o100 ? 0o755 : 0o644), size: stats.size };
  throw new WaferError(
    'invalid_archive',
    `${full} is a device, socket or pipe; only files, folders and links can be deployed.`,
    {
      hint: 'Remove it, or name it in .waferignore.',
      details: { entry: path },
    },
  );
}

/** What of a folder is packed. */
interface Choice {
  /** Not packed, and not looked into. */
  skips(name: string, path: string): boolean;
  ignored: IgnoreTest;
  /** Something in an ignored folder may still be wanted. */
  looksIntoIgnored: boolean;
  exactModes: boolean;
}

/** Depth first, sorted by name; links are listed, never followed. */
async function walk(dir: string, below: string, choice: Choice, found: TarEntry[]): Promise<void> {
  const names = (await readdir(join(dir, below))).sort();
  for (const name of names) {
    const path = below === '' ? name : `${below}/${name}`;
    if (choice.skips(name, path)) continue;
    const entry = await describe(dir, path, choice.exactModes).catch((error: unknown) => {
      if (choice.ignored(path, false)) return null;
      throw error;
    });
    if (entry === null) continue;
    const isIgnored = choice.ignored(path, entry.kind === 'dir');
    if (!isIgnored) found.push(entry);
    if (entry.kind === 'dir' && (!isIgnored || choice.looksIntoIgnored)) await walk(dir, path, choice, found);
  }
}

/** The file must still be one: a link put in its place after the walk is not followed. */
async function* fileContent(path: string): AsyncGenerator<Buffer> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  yield* createReadStream('', { fd: handle, highWaterMark: 256 * 1024 });
}

async function* tarOf(dir: string, entries: TarEntry[]): AsyncGenerator<Buffer> {
  for (const entry of entries) {
    if (entry.kind === 'file') yield* tarFile(entry, fileContent(join(dir, entry.path)));
    else yield tarHeader(entry);
  }
  yield tarEnd();
}

function pack(dir: string, entries: TarEntry[]): PackedFolder {
  const tar = Readable.from(tarOf(dir, entries), { objectMode: false });
  const stream = createGzip({ level: 6 });
  tar.once('error', (error) => stream.destroy(error));
  stream.once('close', () => tar.destroy());
  tar.pipe(stream);
  return { stream, files: entries.filter((entry) => entry.kind !== 'dir').length };
}

/**
 * Leaves out what `.waferignore` names, version-control folders, `node_modules` and caches.
 * The caller owns the stream; destroying it closes every file.
 * @throws WaferError `invalid_request` (no such folder), `invalid_archive` (a device, socket or pipe)
 */
export async function packFolder(dir: string): Promise<PackedFolder> {
  await assertFolder(dir);
  const ignored = parseIgnoreFile((await readOptional(dir, '.waferignore')) ?? '');
  const skips = (name: string, path: string) => isJunk([name], false) || path === '.waferignore';
  const entries: TarEntry[] = [];
  await walk(dir, '', { skips, ignored, looksIntoIgnored: false, exactModes: false }, entries);
  return pack(dir, entries);
}

/**
 * The context of an image build: all but what the ignore file names, permission bits as they are.
 * The Dockerfile and the ignore file are always in it, since the builder reads them, and so is what `more` names.
 * @throws WaferError like `packFolder`, and `invalid_dockerfile` for a broken ignore file
 */
export async function packContext(
  dir: string,
  dockerfile: string,
  more: readonly string[] = [],
): Promise<PackedFolder> {
  await assertFolder(dir);
  const own = `${dockerfile}.dockerignore`;
  const ownText = await readOptional(dir, own);
  const name = ownText === null ? '.dockerignore' : own;
  const ignore = parseContextIgnore(ownText ?? (await readOptional(dir, name)) ?? '', name);
  const always = new Set([dockerfile, name, ...more]);
  const entries: TarEntry[] = [];
  const ignored: IgnoreTest = (path) => !always.has(path) && ignore.ignores(path);
  const looksIntoIgnored = ignore.hasExceptions || dockerfile.includes('/');
  await walk(dir, '', { skips: () => false, ignored, looksIntoIgnored, exactModes: true }, entries);
  return pack(dir, entries);
}
