/** An archive's files in a folder of ours, under numbers: they come in any order, and their names are not to be trusted. */
import { createReadStream } from 'node:fs';
import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { join, posix } from 'node:path';
import type { Readable } from 'node:stream';
import { asDiskFull } from '../durable.ts';
import { decompressed } from './decompress.ts';
import { readArchive, refuseArchive } from './tar-reader.ts';

export const ARCHIVE_LIMITS = {
  /** Files, folders and links of the outer tar. */
  entries: 2_000,
  /** After decompression; on the disk of the store for the time of the load. */
  bytes: 16 * 1024 ** 3,
  /** Documents are held in memory. */
  documentBytes: 4 * 1024 * 1024,
};

export type ArchiveLimits = { readonly [K in keyof typeof ARCHIVE_LIMITS]: number };

export interface SpooledFile {
  size: number;
  open(): Readable;
}

export interface Spool {
  file(name: string): SpooledFile | null;
  /** A whole document. @throws WaferError `invalid_archive` when it is missing or too large */
  document(name: string): Promise<Buffer>;
  close(): Promise<void>;
}

/** `./a/b` and `a/b` are one name; one that leaves the archive is none. */
function normalise(name: string): string | null {
  const plain = posix.normalize(name).replace(/\/+$/, '').replace(/^\.\//, '');
  const isInside =
    plain !== '' && plain !== '.' && !plain.startsWith('/') && plain !== '..' && !plain.startsWith('../');
  return isInside && !name.includes('\0') ? plain : null;
}

interface Stored {
  path: string;
  size: number;
}

interface Collected {
  files: Map<string, Stored>;
  links: Map<string, string>;
}

async function collect(source: Readable, dir: string, limits: ArchiveLimits, signal: AbortSignal): Promise<Collected> {
  const files = new Map<string, Stored>();
  const links = new Map<string, string>();
  let entries = 0;
  let bytes = 0;
  for await (const entry of readArchive(source)) {
    signal.throwIfAborted();
    entries += 1;
    bytes += entry.size;
    if (entries > limits.entries) throw refuseArchive(`it has more than ${limits.entries} entries`);
    if (bytes > limits.bytes) throw refuseArchive(`it has more than ${limits.bytes} bytes`);
    const name = normalise(entry.name);
    if (name === null) {
      if (entry.kind === 'folder') continue;
      throw refuseArchive(`the name ${JSON.stringify(entry.name.slice(0, 100))} leads out of it`);
    }
    if (entry.kind === 'folder') continue;
    if (files.has(name) || links.has(name)) throw refuseArchive(`${JSON.stringify(name.slice(0, 100))} is in it twice`);
    if (entry.kind === 'link') links.set(name, entry.target);
    else files.set(name, await store(entry.body(), join(dir, String(entries))));
  }
  return { files, links };
}

async function store(body: AsyncIterable<Buffer>, path: string): Promise<Stored> {
  const file = await open(path, 'wx', 0o600);
  let size = 0;
  try {
    for await (const chunk of body) {
      await file.writeFile(chunk);
      size += chunk.length;
    }
  } finally {
    await file.close();
  }
  return { path, size };
}

/** Follows a link once: old `docker save`s link a layer to the image that has it already. */
function resolve({ files, links }: Collected, name: string): Stored | undefined {
  const found = files.get(name);
  if (found !== undefined) return found;
  const target = links.get(name);
  if (target === undefined) return undefined;
  const beside = normalise(posix.join(posix.dirname(name), target));
  return files.get(beside ?? '') ?? files.get(normalise(target) ?? '');
}

/** Owns `source`. @throws WaferError `invalid_archive | disk_full` */
export async function spoolArchive(
  source: Readable,
  tmpDir: string,
  limits: ArchiveLimits,
  signal: AbortSignal,
): Promise<Spool> {
  const dir = await mkdtemp(join(tmpDir, 'load-'));
  const close = () => rm(dir, { recursive: true, force: true });
  try {
    const all = await collect(await decompressed(source), dir, limits, signal);
    const file = (name: string): SpooledFile | null => {
      const found = resolve(all, normalise(name) ?? '');
      return found
        ? { size: found.size, open: () => createReadStream(found.path, { highWaterMark: 256 * 1024 }) }
        : null;
    };
    return {
      file,
      async document(name) {
        const found = resolve(all, normalise(name) ?? '');
        if (found === undefined) throw refuseArchive(`${JSON.stringify(name.slice(0, 100))} is missing`);
        if (found.size > limits.documentBytes) throw refuseArchive(`${JSON.stringify(name)} has ${found.size} bytes`);
        return await readFile(found.path);
      },
      close,
    };
  } catch (error) {
    await close();
    signal.throwIfAborted();
    throw explain(error, tmpDir);
  } finally {
    source.destroy();
  }
}

function explain(error: unknown, dir: string): unknown {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code.startsWith('Z_')) return refuseArchive(`it can not be decompressed (${(error as Error).message})`);
  return asDiskFull(error, dir);
}
