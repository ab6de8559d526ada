/**
 * Zip has two tables of contents, and tools disagree about which to believe. Here both
 * must say the same, entries must not share bytes, and nothing may lie before, between
 * the tables or behind. Names must be UTF-8.
 */

import { type Readable, Writable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { crc32 } from 'node:zlib';
import yauzl from 'yauzl';
import type { SourceLimits } from './limits.ts';
import type { ReadContext } from './read-tar.ts';
import { asRefusal, refuseArchive, refuseEntry, tooLarge } from './refuse.ts';
import { openSpool, type Spool } from './spool.ts';
import { SpoolReader } from './zip-reader.ts';

const ENCRYPTED = 0x1;
const DATA_DESCRIPTOR = 0x8;
const MADE_BY_UNIX = 3;
const TYPE_BITS = 0o170000;
const END_RECORDS = [0x06054b50, 0x06064b50];

interface ZipEntry {
  name: string;
  raw: yauzl.Entry;
  kind: 'file' | 'dir' | 'symlink';
  executable: boolean;
}

interface Span {
  name: string;
  start: number;
  end: number;
}

async function receive(input: Readable, spool: Spool, { meter, signal }: ReadContext): Promise<void> {
  const keep = async (chunk: Buffer) => {
    meter.compressed(chunk.length);
    await spool.append(chunk);
  };
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      keep(chunk).then(() => done(), done);
    },
  });
  await pipeline(input, sink, { signal });
  if (spool.size === 0) throw refuseArchive('it is empty');
}

function decodeName(raw: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(raw);
  } catch {
    throw refuseEntry(raw.toString('latin1'), 'its name is not valid UTF-8');
  }
}

function kindOf(name: string, raw: yauzl.Entry): ZipEntry['kind'] {
  const unixType = raw.versionMadeBy >>> 8 === MADE_BY_UNIX ? (raw.externalFileAttributes >>> 16) & TYPE_BITS : 0;
  if (unixType === 0o120000) return 'symlink';
  if (unixType !== 0 && unixType !== 0o040000 && unixType !== 0o100000) {
    throw refuseEntry(name, 'it is a device, socket or pipe');
  }
  const isDir = name.endsWith('/');
  if (unixType !== 0 && isDir !== (unixType === 0o040000)) throw refuseEntry(name, 'its name and its type disagree');
  return isDir ? 'dir' : 'file';
}

function describe(raw: yauzl.Entry): ZipEntry {
  const name = decodeName(raw.fileNameRaw);
  if (raw.generalPurposeBitFlag & ENCRYPTED) throw refuseEntry(name, 'it is encrypted');
  if (raw.compressionMethod !== 0 && raw.compressionMethod !== 8) {
    throw refuseEntry(name, `its compression method ${raw.compressionMethod} is not known; use store or deflate`);
  }
  const kind = kindOf(name, raw);
  if (kind === 'dir' && raw.uncompressedSize !== 0) throw refuseEntry(name, 'its size must be 0');
  const mode = raw.versionMadeBy >>> 8 === MADE_BY_UNIX ? raw.externalFileAttributes >>> 16 : 0;
  return { name, raw, kind, executable: (mode & 0o100) !== 0 };
}

/** @throws when the header in front of the data and the central directory disagree */
async function spanOf(zip: yauzl.ZipFile, { name, raw }: ZipEntry): Promise<Span> {
  const local = await zip.readLocalFileHeaderPromise(raw);
  const deferred = (local.generalPurposeBitFlag & DATA_DESCRIPTOR) !== 0;
  const sizesAgree = (mine: number, central: number) => mine === central || mine === 0xffffffff || deferred;
  const same =
    local.fileName.equals(raw.fileNameRaw) &&
    local.compressionMethod === raw.compressionMethod &&
    (local.generalPurposeBitFlag & ENCRYPTED) === 0 &&
    (deferred || local.crc32 === raw.crc32) &&
    sizesAgree(local.compressedSize, raw.compressedSize) &&
    sizesAgree(local.uncompressedSize, raw.uncompressedSize);
  if (!same) throw refuseEntry(name, 'its local header and the central directory disagree');
  return { name, start: raw.relativeOffsetOfLocalHeader, end: local.fileDataStart + raw.compressedSize };
}

function assertSpans(spans: Span[], directoryStart: number): void {
  const sorted = [...spans].sort((a, b) => a.start - b.start);
  let end = 0;
  for (const span of sorted) {
    if (span.start < end) throw refuseEntry(span.name, 'its bytes overlap another entry');
    end = span.end;
  }
  if ((sorted[0]?.start ?? 0) !== 0) throw refuseArchive('something lies before its first entry');
  if (end > directoryStart) throw refuseArchive('an entry overlaps the central directory');
}

/** A count that is too small would hide entries from us that other tools show. */
async function assertDirectoryEnds(zip: yauzl.ZipFile, spool: Spool): Promise<void> {
  const cursor = Number(zip.readEntryCursor);
  const bytes = cursor + 4 <= spool.size ? await buffer(spool.read(cursor, 4)) : Buffer.alloc(4);
  if (!END_RECORDS.includes(bytes.readUInt32LE(0)))
    throw refuseArchive('its central directory does not end where it says');
}

async function listEntries(zip: yauzl.ZipFile, spool: Spool, limits: SourceLimits): Promise<ZipEntry[]> {
  if (zip.entryCount > limits.entries) throw tooLarge(`it has more than ${limits.entries} entries`);
  const directoryStart = Number(zip.readEntryCursor);
  const entries: ZipEntry[] = [];
  for await (const raw of zip.eachEntry()) entries.push(describe(raw));
  await assertDirectoryEnds(zip, spool);
  const spans: Span[] = [];
  for (const entry of entries) spans.push(await spanOf(zip, entry));
  assertSpans(spans, directoryStart);
  return entries;
}

/** Inflated bytes of one entry; length and checksum are what the directory says, or it fails. */
async function* contentOf(zip: yauzl.ZipFile, { name, raw }: ZipEntry, context: ReadContext): AsyncGenerator<Buffer> {
  const stream = await zip.openReadStreamPromise(raw);
  let sum = 0;
  for await (const chunk of stream) {
    context.signal.throwIfAborted();
    context.meter.unpacked((chunk as Buffer).length);
    sum = crc32(chunk as Buffer, sum);
    yield chunk as Buffer;
  }
  if (sum !== raw.crc32) throw refuseEntry(name, 'its checksum is wrong');
}

async function storeEntry(zip: yauzl.ZipFile, entry: ZipEntry, context: ReadContext, limits: SourceLimits) {
  const { builder, meter, spool } = context;
  const components = builder.name(entry.name);
  if (components === null) return;
  if (entry.kind === 'dir') return builder.addDir(components);
  const size = entry.raw.uncompressedSize;
  if (entry.kind === 'symlink') {
    if (size > limits.pathBytes) throw refuseEntry(entry.name, 'its link target is too long');
    const target = await buffer(contentOf(zip, entry, context));
    return builder.addSymlink(components, decodeName(target));
  }
  meter.content(size);
  builder.addFile(components, { executable: entry.executable, size, offset: spool.size });
  for await (const chunk of contentOf(zip, entry, context)) await spool.append(chunk);
}

async function openZip(spool: Spool): Promise<yauzl.ZipFile> {
  const reader = new SpoolReader(spool);
  reader.on('error', () => undefined);
  const zip = await yauzl.fromRandomAccessReaderPromise(reader, spool.size, {
    autoClose: false,
    decodeStrings: false,
    validateEntrySizes: true,
  });
  // Errors reach us through the promises; an unheard event would end the process.
  zip.on('error', () => undefined);
  return zip;
}

async function storeEntries(packed: Spool, context: ReadContext, limits: SourceLimits): Promise<void> {
  try {
    const zip = await openZip(packed);
    for (const entry of await listEntries(zip, packed, limits)) await storeEntry(zip, entry, context, limits);
  } catch (error) {
    throw asRefusal(error);
  }
}

/** Owns `input`. The zip is spooled whole first: its table of contents is at its end. */
export async function readZip(
  input: Readable,
  context: ReadContext,
  tmpDir: string,
  limits: SourceLimits,
): Promise<void> {
  const packed = await openSpool(tmpDir);
  try {
    await receive(input, packed, context);
    await storeEntries(packed, context, limits);
  } catch (error) {
    context.signal.throwIfAborted();
    throw error;
  } finally {
    input.destroy();
    await packed.close();
  }
}
