/** Builds a wheel byte by byte and serves it as a simple index (PEP 427, PEP 503): no Python index is reached by tests. */
import { createHash } from 'node:crypto';
import type { RequestListener } from 'node:http';
import { crc32 } from 'node:zlib';

export interface Wheel {
  name: string;
  file: string;
  content: Buffer;
}

export async function makeWheel(name: string, version: string, source: string): Promise<Wheel> {
  const info = `${name}-${version}.dist-info`;
  const files: Record<string, string> = {
    [`${name}/__init__.py`]: source,
    [`${info}/METADATA`]: `Metadata-Version: 2.1\nName: ${name}\nVersion: ${version}\n`,
    [`${info}/WHEEL`]: 'Wheel-Version: 1.0\nGenerator: wafer-test\nRoot-Is-Purelib: true\nTag: py3-none-any\n',
  };
  const record = Object.entries(files).map(
    ([path, text]) =>
      `${path},sha256=${createHash('sha256').update(text).digest('base64url')},${Buffer.byteLength(text)}`,
  );
  files[`${info}/RECORD`] = `${record.join('\n')}\n${info}/RECORD,,\n`;
  return { name, file: `${name}-${version}-py3-none-any.whl`, content: storedZip(files) };
}

export function serveIndex(wheels: Wheel[]): RequestListener {
  return (request, response) => {
    const path = decodeURIComponent(new URL(request.url ?? '/', 'http://index').pathname);
    const wheel = wheels.find((one) => path === `/files/${one.file}`);
    const listed = wheels.filter((one) => path === `/simple/${one.name}/`);
    if (wheel !== undefined) return void response.end(wheel.content);
    if (listed.length === 0) return void response.writeHead(404).end();
    const links = listed.map(
      (one) =>
        `<a href="/files/${one.file}#sha256=${createHash('sha256').update(one.content).digest('hex')}">${one.file}</a>`,
    );
    response.setHeader('content-type', 'text/html').end(`<!doctype html><html><body>${links.join('\n')}</body></html>`);
  };
}

/** A zip without compression. */
function storedZip(files: Record<string, string>): Buffer {
  const parts: Buffer[] = [];
  const central: Buffer[] = [];
  let offset = 0;
  for (const [path, text] of Object.entries(files)) {
    const name = Buffer.from(path);
    const data = Buffer.from(text);
    const fields = Buffer.alloc(26);
    fields.writeUInt16LE(20, 0);
    fields.writeUInt16LE(33, 8); // date: 1980-01-01
    fields.writeUInt32LE(crc32(data), 10);
    fields.writeUInt32LE(data.length, 14);
    fields.writeUInt32LE(data.length, 18);
    fields.writeUInt16LE(name.length, 22);
    const local = Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), fields, name, data]);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(0o100644 * 0x10000, 6);
    tail.writeUInt32LE(offset, 10);
    central.push(Buffer.concat([Buffer.from('PK\x01\x02\x14\x03', 'latin1'), fields, tail, name]));
    parts.push(local);
    offset += local.length;
  }
  const directory = Buffer.concat(central);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(central.length, 8);
  end.writeUInt16LE(central.length, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...parts, directory, end]);
}
