/**
 * Writes tars that depend on nothing but what they are given: mtime 0 and ids 0 unless an entry says otherwise, no user
 * names, ustar headers and one PAX header for what ustar can not hold. The same
 * tree gives the same bytes, on every machine, so layers are shared.
 */

export interface TarEntry {
  kind: 'file' | 'dir' | 'symlink' | 'link';
  /** Relative, `/` between components, no trailing slash. */
  path: string;
  /** Permission bits. */
  mode: number;
  /** Bytes of a file; 0 for the others. */
  size: number;
  /** Target of a symlink; of a hard link the path of an entry before it. */
  target?: string;
  /** 0 when not given; mtime in seconds. */
  uid?: number;
  gid?: number;
  mtime?: number;
  /** PAX records, such as `SCHILY.xattr.user.name`, in the order to write. */
  pax?: Readonly<Record<string, string>>;
}

const BLOCK = 512;
const TYPE_FLAGS = { file: '0', dir: '5', symlink: '2', link: '1' } as const;

interface UstarFields {
  name: string;
  prefix: string;
  mode: number;
  size: number;
  flag: string;
  link: string;
  uid?: number | undefined;
  gid?: number | undefined;
  mtime?: number | undefined;
}

function ustarBlock(fields: UstarFields): Buffer {
  const block = Buffer.alloc(BLOCK);
  const octal = (value: number, at: number, width: number) =>
    block.write(`${value.toString(8).padStart(width - 1, '0')}\0`, at, 'latin1');
  block.write(fields.name, 0, 100, 'latin1');
  octal(fields.mode & 0o7777, 100, 8);
  octal(fields.uid ?? 0, 108, 8);
  octal(fields.gid ?? 0, 116, 8);
  octal(fields.size, 124, 12);
  octal(fields.mtime ?? 0, 136, 12);
  block.write('        ', 148, 'latin1');
  block.write(fields.flag, 156, 'latin1');
  block.write(fields.link, 157, 100, 'latin1');
  block.write('ustar\x0000', 257, 'latin1');
  octal(0, 329, 8);
  octal(0, 337, 8);
  block.write(fields.prefix, 345, 155, 'latin1');
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

const isAscii = (text: string) => Buffer.byteLength(text) === text.length;

/** Splits at a slash so that both parts fit; null when no slash does. */
function splitName(path: string): { name: string; prefix: string } | null {
  if (!isAscii(path)) return null;
  if (path.length <= 100) return { name: path, prefix: '' };
  for (let slash = path.indexOf('/'); slash !== -1; slash = path.indexOf('/', slash + 1)) {
    const rest = path.length - slash - 1;
    if (slash > 0 && slash <= 155 && rest > 0 && rest <= 100) {
      return { name: path.slice(slash + 1), prefix: path.slice(0, slash) };
    }
  }
  return null;
}

/** `<length> <key>=<value>\n`, where the length counts its own digits. */
function paxRecord(key: string, value: string): string {
  const body = ` ${key}=${value}\n`;
  const bytes = Buffer.byteLength(body);
  let length = bytes + String(bytes).length;
  if (bytes + String(length).length !== length) length = bytes + String(length).length;
  return `${length}${body}`;
}

function padding(size: number): Buffer {
  return Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK);
}

function paxHeader(records: string): Buffer {
  const body = Buffer.from(records);
  const block = ustarBlock({ name: 'PaxHeader', prefix: '', mode: 0o644, size: body.length, flag: 'x', link: '' });
  return Buffer.concat([block, body, padding(body.length)]);
}

const extraRecords = ({ pax = {} }: TarEntry) =>
  Object.entries(pax)
    .map(([key, value]) => paxRecord(key, value))
    .join('');

export function tarHeader(entry: TarEntry): Buffer {
  const path = entry.kind === 'dir' ? `${entry.path}/` : entry.path;
  const link = entry.kind === 'symlink' || entry.kind === 'link' ? (entry.target ?? '') : '';
  const split = splitName(path);
  const linkFits = isAscii(link) && link.length <= 100;
  const records =
    (split ? '' : paxRecord('path', path)) + (linkFits ? '' : paxRecord('linkpath', link)) + extraRecords(entry);
  const block = ustarBlock({
    ...(split ?? { name: 'see-pax-header', prefix: '' }),
    mode: entry.mode,
    size: entry.kind === 'file' ? entry.size : 0,
    flag: TYPE_FLAGS[entry.kind],
    link: linkFits ? link : '',
    uid: entry.uid,
    gid: entry.gid,
    mtime: entry.mtime,
  });
  return records === '' ? block : Buffer.concat([paxHeader(records), block]);
}

/**
 * One entry with its content, which must be exactly `entry.size` bytes long.
 * @throws Error when the content is longer or shorter: the tar would be corrupt
 */
export async function* tarFile(entry: TarEntry, content: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  yield tarHeader(entry);
  let written = 0;
  for await (const chunk of content) {
    written += chunk.length;
    if (written > entry.size) break;
    yield chunk;
  }
  if (written !== entry.size) throw new Error(`${entry.path} changed its size while it was read`);
  const pad = padding(entry.size);
  if (pad.length > 0) yield pad;
}

/** Two zero blocks: the end of every tar. */
export function tarEnd(): Buffer {
  return Buffer.alloc(2 * BLOCK);
}
