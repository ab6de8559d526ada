/** A tar on its way into the store: digested, compressed into a file, and unpacked, all in one pass. */
import type { FileHandle } from 'node:fs/promises';
import { PassThrough, pipeline as pipe, type Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { coerceError } from '../errors.ts';
import type { Aside } from './asides.ts';
import { digestTap } from './digest.ts';
import { gzipBlocks } from './gzip-blocks.ts';
import type { LayerDisk } from './layer-disk.ts';
import { tee } from './tee.ts';
import { type AddLayerOptions, type Descriptor, type Digest, MEDIA } from './types.ts';

const GZIP_LEVEL = 6;
const FAST_GZIP_LEVEL = 1;

export interface Spooled {
  diffId: Digest;
  tarBytes: number;
  blob: Descriptor;
  /** Null: still to be unpacked, from the blob. */
  aside: Aside | null;
}

/** Not the handle's own write stream: that one keeps the handle open for ever, or closes it before the fsync. */
function sinkOf(file: FileHandle): Writable {
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      file.writeFile(chunk).then(() => done(), done);
    },
  });
}

async function compress(
  tar: AsyncIterable<Buffer>,
  file: FileHandle,
  { fast = false, signal }: AddLayerOptions,
): Promise<Omit<Spooled, 'aside'>> {
  const level = fast ? FAST_GZIP_LEVEL : GZIP_LEVEL;
  const raw = digestTap();
  const packed = digestTap();
  const digested = pipe(tar, raw.stream, () => undefined);
  await pipeline(gzipBlocks(digested, level), packed.stream, sinkOf(file), signal === undefined ? {} : { signal });
  const { digest: diffId, bytes: tarBytes } = raw.result();
  const { digest, bytes: size } = packed.result();
  return { diffId, tarBytes, blob: { mediaType: MEDIA.layerGzip, digest, size } };
}

/** Owns `tar`. The caller drops `aside`; a failure leaves nothing but bytes in the file. */
export async function spoolLayer(
  tar: Readable,
  file: FileHandle,
  options: AddLayerOptions,
  disk: LayerDisk,
): Promise<Spooled> {
  const { alsoTo, adopt, signal } = options;
  const readers = alsoTo === undefined ? [] : [alsoTo];
  if (adopt !== undefined) {
    const spooled = await compress(tee(tar, readers), file, options);
    return { ...spooled, aside: await disk.adopt(adopt) };
  }
  const unpacked = new PassThrough({ highWaterMark: 1024 * 1024 });
  unpacked.on('error', () => undefined);
  // The first failure is the cause: the other side only sees that its stream has broken off.
  const failures: unknown[] = [];
  tar.once('error', (error) => failures.unshift(error));
  const failed = (error: unknown) => {
    failures.push(error);
    // With an error: who only begins to read a stream that just closed would wait for ever.
    unpacked.destroy(coerceError(error));
    tar.destroy();
    return null;
  };
  const [spooled, aside] = await Promise.all([
    compress(tee(tar, [unpacked, ...readers]), file, options).catch(failed),
    disk.unpackAside(unpacked, signal).catch(failed),
  ]);
  if (spooled !== null && aside !== null) return { ...spooled, aside };
  await aside?.drop();
  throw failures[0];
}
