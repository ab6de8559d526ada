/**
 * Reads the outer tar of an image archive. Knows plain files, folders and links, with the long
 * names of PAX and GNU; anything else is refused. Nothing is written here, and no name is a path.
 */
import type { Readable } from 'node:stream';
import { WaferError } from '../../errors.ts';

export interface ArchiveEntry {
  name: string;
  kind: 'file' | 'folder' | 'link';
  size: number;
  /** Of a link. */
  target: string;
  /** The content, to be read before the next entry; what is not read is skipped. */
  body(): AsyncGenerator<Buffer>;
}

const BLOCK = 512;
/** One long name; honest ones are below 300 bytes. */
const MAX_EXTENSION = 64 * 1024;

export const refuseArchive = (why: string) =>
  new WaferError('invalid_archive', `The image archive is not acceptable: ${why}.`);

/** Exact reads from a stream of chunks. */
function createCursor(source: Readable) {
  const chunks = (source as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  let held: Buffer = Buffer.alloc(0);
  /** Up to `most` bytes; null at the end. */
  const some = async (most: number): Promise<Buffer | null> => {
    while (held.length === 0) {
      const next = await chunks.next();
      if (next.done === true) return null;
      held = next.value;
    }
    const part = held.subarray(0, most);
    held = held.subarray(part.length);
    return part;
  };
  const exactly = async (count: number): Promise<Buffer | null> => {
    const parts: Buffer[] = [];
    for (let left = count; left > 0; ) {
      const part = await some(left);
      if (part === null) {
        if (parts.length === 0) return null;
        throw refuseArchive('it is cut off');
      }
      parts.push(part);
      left -= part.length;
    }
    return Buffer.concat(parts);
  };
  return { some, exactly };
}

type Cursor = ReturnType<typeof createCursor>;

const text = (bytes: Buffer) => bytes.toString('utf8').replace(/\0.*$/s, '');

/** Octal, or GNU's base 256 for large files. */
function numberOf(field: Buffer): number {
  if (((field[0] ?? 0) & 0x80) !== 0) {
    const value = field.subarray(-6).readUIntBE(0, 6);
    const isSmall = field[0] === 0x80 && field.subarray(1, -6).every((byte) => byte === 0);
    if (isSmall) return value;
    throw refuseArchive('a size in it is impossible');
  }
  const digits = text(field).trim();
  if (!/^[0-7]{0,12}$/.test(digits)) throw refuseArchive('a number in it is damaged');
  return digits === '' ? 0 : Number.parseInt(digits, 8);
}

function checkSum(block: Buffer): void {
  let sum = 0;
  for (const [at, byte] of block.entries()) sum += at >= 148 && at < 156 ? 32 : byte;
  if (numberOf(block.subarray(148, 156)) !== sum) throw refuseArchive('it is no tar, or a header in it is damaged');
}

function paxRecords(body: Buffer): Map<string, string> {
  const found = new Map<string, string>();
  for (let at = 0; at < body.length; ) {
    const space = body.indexOf(0x20, at);
    const length = Number(body.toString('latin1', at, space));
    const equals = body.indexOf(0x3d, space);
    const isRecord =
      space > at && Number.isInteger(length) && length > 0 && at + length <= body.length && equals < at + length;
    if (!isRecord) throw refuseArchive('an extended header in it is damaged');
    found.set(body.toString('utf8', space + 1, equals), body.toString('utf8', equals + 1, at + length - 1));
    at += length;
  }
  return found;
}

interface Extensions {
  name?: string;
  target?: string;
  size?: number;
}

async function readExtension(cursor: Cursor, flag: string, size: number): Promise<Extensions> {
  if (size > MAX_EXTENSION) throw refuseArchive(`an extended header in it has ${size} bytes`);
  const padded = await cursor.exactly(Math.ceil(size / BLOCK) * BLOCK);
  const body = (padded ?? Buffer.alloc(0)).subarray(0, size);
  if (body.length !== size) throw refuseArchive('it is cut off');
  if (flag === 'L') return { name: text(body) };
  if (flag === 'K') return { target: text(body) };
  if (flag === 'g') return {};
  const records = paxRecords(body);
  if ([...records.keys()].some((key) => key.startsWith('GNU.sparse'))) throw refuseArchive('it has sparse files');
  const [name, target, length] = [records.get('path'), records.get('linkpath'), records.get('size')];
  if (length !== undefined && !/^[0-9]{1,15}$/.test(length)) throw refuseArchive('a size in it is impossible');
  return {
    ...(name === undefined ? {} : { name }),
    ...(target === undefined ? {} : { target }),
    ...(length === undefined ? {} : { size: Number(length) }),
  };
}

const KINDS: Record<string, ArchiveEntry['kind']> = {
  '0': 'file',
  '\0': 'file',
  '7': 'file',
  '5': 'folder',
  '1': 'link',
  '2': 'link',
};

function entryOf(block: Buffer, extended: Extensions): Omit<ArchiveEntry, 'body'> {
  const isUstar = block.toString('latin1', 257, 262) === 'ustar' && block[262] === 0;
  const prefix = isUstar ? text(block.subarray(345, 500)) : '';
  const own = text(block.subarray(0, 100));
  const name = extended.name ?? (prefix === '' ? own : `${prefix}/${own}`);
  const kind = KINDS[String.fromCharCode(block[156] ?? 0)];
  if (kind === undefined) throw refuseArchive(`${JSON.stringify(name.slice(0, 100))} is neither a file nor a folder`);
  const size = kind === 'file' ? (extended.size ?? numberOf(block.subarray(124, 136))) : 0;
  return { name, kind, size, target: extended.target ?? text(block.subarray(157, 257)) };
}

async function* contentOf(cursor: Cursor, size: number, onRead: (bytes: number) => void): AsyncGenerator<Buffer> {
  for (let left = size; left > 0; ) {
    const part = await cursor.some(left);
    if (part === null) throw refuseArchive('it is cut off');
    left -= part.length;
    onRead(part.length);
    yield part;
  }
}

async function skip(cursor: Cursor, count: number): Promise<void> {
  for (let left = count; left > 0; ) {
    const part = await cursor.some(left);
    if (part === null) throw refuseArchive('it is cut off');
    left -= part.length;
  }
}

/** Entries in the order of the archive. @throws WaferError `invalid_archive` */
export async function* readArchive(source: Readable): AsyncGenerator<ArchiveEntry> {
  const cursor = createCursor(source);
  let extended: Extensions = {};
  for (;;) {
    const block = await cursor.exactly(BLOCK);
    if (block === null || block.length < BLOCK) throw refuseArchive('it is cut off: the end mark is missing');
    if (block.every((byte) => byte === 0)) break;
    checkSum(block);
    const flag = String.fromCharCode(block[156] ?? 0);
    if ('xgLK'.includes(flag)) {
      extended = { ...extended, ...(await readExtension(cursor, flag, numberOf(block.subarray(124, 136)))) };
      continue;
    }
    const entry = entryOf(block, extended);
    extended = {};
    let read = 0;
    yield {
      ...entry,
      body: () =>
        contentOf(cursor, entry.size - read, (bytes) => {
          read += bytes;
        }),
    };
    await skip(cursor, Math.ceil(entry.size / BLOCK) * BLOCK - read);
  }
  // Read to the end, so that who sends it can finish.
  while ((await cursor.some(BLOCK * 128)) !== null);
}
