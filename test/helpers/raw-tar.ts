/** Tars written byte by byte, so that they can be wrong. */
export interface RawEntry {
  name: string | Buffer;
  type?: string;
  link?: string;
  body?: string | Buffer;
  mode?: number;
  uid?: number;
  mtime?: number;
  /** 12 bytes for the size field, whatever the body is. */
  rawSize?: Buffer;
}

function header(entry: RawEntry, size: number): Buffer {
  const block = Buffer.alloc(512);
  const octal = (value: number, at: number, width: number) =>
    block.write(`${value.toString(8).padStart(width - 1, '0')}\0`, at, 'latin1');
  Buffer.from(entry.name).copy(block, 0, 0, 100);
  octal(entry.mode ?? 0o644, 100, 8);
  octal(entry.uid ?? 1000, 108, 8);
  octal(1000, 116, 8);
  octal(size, 124, 12);
  entry.rawSize?.copy(block, 124);
  octal(entry.mtime ?? 1_700_000_000, 136, 12);
  block.write('        ', 148, 'latin1');
  block.write(entry.type ?? '0', 156, 'latin1');
  block.write(entry.link ?? '', 157, 100);
  block.write('ustar\x0000', 257, 'latin1');
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

/** A PAX header for the entry behind it; `g` for all behind it. */
export function rawPax(records: Record<string, string>, type: 'x' | 'g' = 'x'): RawEntry {
  const lines = Object.entries(records).map(([key, value]) => {
    const rest = Buffer.byteLength(` ${key}=${value}\n`);
    let length = rest + 1;
    while (String(length).length + rest !== length) length += 1;
    return `${length} ${key}=${value}\n`;
  });
  return { name: 'PaxHeader', type, body: lines.join('') };
}

export function rawTar(entries: RawEntry[]): Buffer {
  const blocks = entries.flatMap((entry) => {
    const body = Buffer.from(entry.body ?? '');
    return [header(entry, body.length), body, Buffer.alloc((512 - (body.length % 512)) % 512)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}
