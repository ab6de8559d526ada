import { PassThrough, pipeline, type Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';

/** Plain or with gzip, by its first bytes. Owns `source`; its failure is the result's. */
export async function decompressed(source: Readable): Promise<Readable> {
  const out = new PassThrough();
  const iterator = (source as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  let head: Buffer = Buffer.alloc(0);
  while (head.length < 2) {
    const next = await iterator.next();
    if (next.done === true) break;
    head = Buffer.concat([head, next.value]);
  }
  const rest = async function* () {
    try {
      yield head;
      for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) yield next.value;
    } finally {
      source.destroy();
    }
  };
  const isGzip = head[0] === 0x1f && head[1] === 0x8b;
  if (isGzip) pipeline(rest, createGunzip(), out, () => undefined);
  else pipeline(rest, out, () => undefined);
  return out;
}
