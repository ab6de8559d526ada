/** Zips written byte by byte, so that they can lie. */
import { crc32, deflateRawSync } from 'node:zlib';

export interface ZipPart {
  name: string | Buffer;
  body: string | Buffer;
  stored?: boolean;
  /** Lies, each in one place only. */
  localName?: string;
  localSize?: number;
  claimSize?: number;
  crc?: number;
  method?: number;
  flags?: number;
  packed?: Buffer;
  offset?: number;
  /** Only in the directory; its local part lies inside of another entry's body. */
  directoryOnly?: boolean;
  extra?: Buffer;
  unixMode?: number;
}

export interface ZipLies {
  count?: number;
  directoryOffset?: number;
  /** Added to every offset, for bytes that are put in front. */
  shift?: number;
  /** Puts a zip64 locator with this offset before the end record. */
  zip64Locator?: bigint;
}

interface Fields {
  flags: number;
  method: number;
  crc: number;
  packedSize: number;
  size: number;
}

function common({ flags, method, crc, packedSize, size }: Fields, nameLength: number, extraLength: number): Buffer {
  const bytes = Buffer.alloc(26);
  bytes.writeUInt16LE(20, 0);
  bytes.writeUInt16LE(flags, 2);
  bytes.writeUInt16LE(method, 4);
  bytes.writeUInt32LE(crc, 10);
  bytes.writeUInt32LE(packedSize, 14);
  bytes.writeUInt32LE(size, 18);
  bytes.writeUInt16LE(nameLength, 22);
  bytes.writeUInt16LE(extraLength, 24);
  return bytes;
}

function fieldsOf(part: ZipPart, packed: Buffer): Fields {
  const body = Buffer.from(part.body);
  return {
    flags: 0x800 | (part.flags ?? 0),
    method: part.method ?? (part.stored === true ? 0 : 8),
    crc: part.crc ?? crc32(body),
    packedSize: packed.length,
    size: part.claimSize ?? body.length,
  };
}

function centralEntry(part: ZipPart, fields: Fields, offset: number): Buffer {
  const name = Buffer.from(part.name);
  const extra = part.extra ?? Buffer.alloc(0);
  const tail = Buffer.alloc(14);
  tail.writeUInt32LE(part.unixMode === undefined ? 0 : (part.unixMode << 16) >>> 0, 6);
  tail.writeUInt32LE(offset, 10);
  const madeBy = Buffer.from([20, part.unixMode === undefined ? 0 : 3]);
  return Buffer.concat([
    Buffer.from('PK\x01\x02'),
    madeBy,
    common(fields, name.length, extra.length),
    tail,
    name,
    extra,
  ]);
}

function endRecords(lies: ZipLies, count: number, directorySize: number, directoryOffset: number): Buffer {
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(lies.count ?? count, 8);
  end.writeUInt16LE(lies.count ?? count, 10);
  end.writeUInt32LE(directorySize, 12);
  end.writeUInt32LE(lies.directoryOffset ?? directoryOffset, 16);
  if (lies.zip64Locator === undefined) return end;
  const locator = Buffer.alloc(20);
  locator.write('PK\x06\x07', 'latin1');
  locator.writeBigUInt64LE(lies.zip64Locator, 8);
  return Buffer.concat([locator, end]);
}

export function rawZip(parts: ZipPart[], lies: ZipLies = {}): Buffer {
  const local: Buffer[] = [];
  const central: Buffer[] = [];
  let at = 0;
  for (const part of parts) {
    const body = Buffer.from(part.body);
    const packed = part.packed ?? (part.stored === true ? body : deflateRawSync(body));
    const fields = fieldsOf(part, packed);
    const name = Buffer.from(part.localName ?? part.name);
    const head = common({ ...fields, size: part.localSize ?? fields.size }, name.length, 0);
    const bytes = Buffer.concat([Buffer.from('PK\x03\x04'), head, name, packed]);
    central.push(centralEntry(part, fields, part.offset ?? at + (lies.shift ?? 0)));
    if (part.directoryOnly === true) continue;
    local.push(bytes);
    at += bytes.length;
  }
  const directory = Buffer.concat(central);
  return Buffer.concat([...local, directory, endRecords(lies, parts.length, directory.length, at + (lies.shift ?? 0))]);
}

/** The local part of one entry: header, name, data. */
export function localPart(part: ZipPart): Buffer {
  const whole = rawZip([part]);
  return whole.subarray(0, whole.indexOf('PK\x01\x02', 0, 'latin1'));
}
