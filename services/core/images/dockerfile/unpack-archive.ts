/** ADD of a local archive: its members, read with caps; bytes go to a spool, names nowhere near the host's disk. */
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { extract } from 'tar-stream';
import type { Spool } from '../../functions/source/spool.ts';
import { DraftError, type NewEntry } from './layer-draft.ts';
import { cleanName, seconds, xattrsOf } from './layer-index.ts';

export interface Member {
  path: string;
  entry: NewEntry;
  /** A hard link: the path of the member that it is another name of. */
  link?: string;
}

export type ArchiveKind = 'tar' | 'tar.gz' | null;

const LIMITS = { entries: 200_000, bytes: 2 * 1024 ** 3, depth: 64 };
const BLOCK = 512;
const OTHERS: [magic: number[], name: string][] = [
  [[0x42, 0x5a, 0x68], 'bzip2'],
  [[0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00], 'xz'],
  [[0x28, 0xb5, 0x2f, 0xfd], 'zstd'],
];

async function head(bytes: AsyncIterable<Buffer>, length: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of bytes) {
    chunks.push(chunk);
    size += chunk.length;
    if (size >= length) break;
  }
  return Buffer.concat(chunks).subarray(0, length);
}

/** The header's own checksum is right: also of tars that are older than `ustar`. */
function isTarHeader(block: Buffer): boolean {
  if (block.length < BLOCK || block[0] === 0) return false;
  const stored = Number.parseInt(
    block
      .subarray(148, 156)
      .toString('latin1')
      .replace(/[\0 ]+/g, ''),
    8,
  );
  const sum = block.reduce((total, byte, index) => total + (index >= 148 && index < 156 ? 32 : byte), 0);
  return stored === sum;
}

/** @throws DraftError for a compression that can not be read here */
export async function archiveKind(open: () => AsyncIterable<Buffer>): Promise<ArchiveKind> {
  const start = await head(open(), BLOCK);
  if (isTarHeader(start)) return 'tar';
  const other = OTHERS.find(([magic]) => magic.every((byte, index) => start[index] === byte));
  if (other !== undefined)
    throw new DraftError(
      `it is compressed with ${other[1]}, which ADD can not unpack here; COPY it and unpack it with RUN`,
    );
  if (start[0] !== 0x1f || start[1] !== 0x8b) return null;
  const gunzip = createGunzip();
  pipeline(Readable.from(open()), gunzip).catch(() => undefined);
  const inner = await head(gunzip, BLOCK).catch(() => Buffer.alloc(0));
  return isTarHeader(inner) ? 'tar.gz' : null;
}

const KINDS: Record<string, NewEntry['kind']> = {
  file: 'file',
  'contiguous-file': 'file',
  directory: 'dir',
  symlink: 'symlink',
};

function memberPath(name: string): string {
  const path = cleanName(name);
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) throw new DraftError(`its member ${JSON.stringify(name.slice(0, 100))} leaves the archive`);
  if (parts.length > LIMITS.depth) throw new DraftError(`a member lies deeper than ${LIMITS.depth} folders`);
  return parts.join('/');
}

/** Owners and modes as in the archive. @throws DraftError */
export async function* readArchive(
  open: () => AsyncIterable<Buffer>,
  kind: 'tar' | 'tar.gz',
  spool: Spool,
  latest: number,
): AsyncGenerator<Member> {
  const parser = extract();
  const source = Readable.from(open(), { objectMode: false });
  const feeding = kind === 'tar' ? pipeline(source, parser) : pipeline(source, createGunzip(), parser);
  feeding.catch(() => undefined);
  let entries = 0;
  const begin = spool.size;
  try {
    for await (const member of parser) {
      const { header } = member;
      entries += 1;
      if (entries > LIMITS.entries) throw new DraftError(`it has more than ${LIMITS.entries} members`);
      const path = memberPath(header.name);
      const type = KINDS[header.type ?? 'file'];
      if (type === undefined && header.type !== 'link')
        throw new DraftError(`its member ${JSON.stringify(path.slice(0, 100))} is a ${header.type}`);
      if (spool.size - begin + (header.size ?? 0) > LIMITS.bytes)
        throw new DraftError(`it unpacks to more than ${LIMITS.bytes} bytes`);
      const offset = spool.size;
      for await (const chunk of member) await spool.append(chunk as Buffer);
      const size = spool.size - offset;
      const pax = xattrsOf(header.pax);
      const entry: NewEntry = {
        kind: type ?? 'file',
        mode: type === 'symlink' ? 0o777 : (header.mode ?? 0o644) & 0o7777,
        uid: header.uid ?? 0,
        gid: header.gid ?? 0,
        size,
        mtime: Math.min(latest, seconds(header.mtime)),
        ...(type === 'symlink' ? { target: header.linkname ?? '' } : {}),
        ...(pax === undefined ? {} : { pax }),
        open: () => spool.read(offset, size),
      };
      if (path !== '')
        yield { path, entry, ...(type === undefined ? { link: memberPath(header.linkname ?? '') } : {}) };
    }
    await feeding;
  } catch (error) {
    if (error instanceof DraftError || (error instanceof Error && 'syscall' in error)) throw error;
    throw new DraftError(`it is damaged (${error instanceof Error ? error.message : 'unknown'})`);
  }
}
