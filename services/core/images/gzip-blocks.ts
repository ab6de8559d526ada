/**
 * Gzip on all cores: the input is cut into blocks of one size, each becomes a gzip member of its own
 * (RFC 1952 2.2: members may follow each other, and every reader of layers takes that), and several
 * are compressed at a time. Same input, same bytes: Node's header has no time and no name.
 */
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';

const BLOCK = 1024 * 1024;
/** Blocks in work or waiting for their turn: Node has four threads for this. */
const AHEAD = 4;
const compress = promisify<Buffer, { level: number }, Buffer>(gzip);

/** Blocks of exactly `BLOCK` bytes, but for the last; at least one. */
async function* blocksOf(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let parts: Buffer[] = [];
  let length = 0;
  let isFirst = true;
  for await (const chunk of source) {
    for (let at = 0; at < chunk.length; ) {
      const part = chunk.subarray(at, at + BLOCK - length);
      parts.push(part);
      length += part.length;
      at += part.length;
      if (length < BLOCK) continue;
      yield Buffer.concat(parts);
      [parts, length, isFirst] = [[], 0, false];
    }
  }
  if (length > 0 || isFirst) yield Buffer.concat(parts);
}

async function* members(source: AsyncIterable<Buffer>, level: number): AsyncGenerator<Buffer> {
  const waiting: Promise<Buffer>[] = [];
  for await (const block of blocksOf(source)) {
    const member = compress(block, { level });
    member.catch(() => undefined); // seen when its turn comes
    waiting.push(member);
    if (waiting.length < AHEAD) continue;
    yield (await waiting.shift()) as Buffer;
  }
  for (const member of waiting) yield await member;
}

/** Errors when the source does. */
export const gzipBlocks = (source: AsyncIterable<Buffer>, level: number): Readable =>
  Readable.from(members(source, level), { objectMode: false });
