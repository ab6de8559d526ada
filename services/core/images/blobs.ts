import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline, type Readable } from 'node:stream';
import { isErrno, WaferError } from '../errors.ts';
import { digestGate, digestOf, hexOf, mismatch } from './digest.ts';
import { removeFile, type TempFiles } from './durable.ts';
import { exists, type Layout, listFiles } from './layout.ts';
import type { Descriptor, Digest } from './types.ts';

/** Documents are JSON that we hold in memory; a larger one is not one. */
const MAX_DOCUMENT = 4 * 1024 * 1024;

export interface Blobs {
  path(digest: Digest): string;
  has(digest: Digest): Promise<boolean>;
  /** Writes a document; nothing happens when it is there. */
  put(bytes: Buffer, mediaType: string): Promise<Descriptor>;
  /** Errors at its end, before `end` is seen, when the bytes are not those of the digest. @throws WaferError `not_found` */
  read(digest: Digest): Promise<Readable>;
  /** A manifest or config, checked; null when it is not there or too large to be one. */
  readDocument(digest: Digest): Promise<Buffer | null>;
  list(): Promise<{ digest: Digest; size: number }[]>;
  remove(digest: Digest): Promise<void>;
}

async function openBlob(path: string, digest: Digest) {
  return open(path, 'r').catch((error: unknown) => {
    if (!isErrno(error, 'ENOENT')) throw error;
    throw new WaferError('not_found', `The store has no blob ${digest}.`);
  });
}

export function createBlobs(layout: Layout, temp: TempFiles): Blobs {
  const path = (digest: Digest) => join(layout.blobs, hexOf(digest));

  const read = async (digest: Digest): Promise<Readable> => {
    const file = await openBlob(path(digest), digest);
    const gate = digestGate({ digest }, `Blob ${digest}`);
    pipeline(createReadStream('', { fd: file, highWaterMark: 256 * 1024 }), gate, () => undefined);
    return gate;
  };

  return {
    path,
    has: (digest) => exists(path(digest)),
    async put(bytes, mediaType) {
      const digest = digestOf(bytes);
      if (!(await exists(path(digest)))) await temp.writeWhole(path(digest), bytes);
      return { mediaType, digest, size: bytes.length };
    },
    read,
    async readDocument(digest) {
      const file = await open(path(digest), 'r').catch((error: unknown) => {
        if (isErrno(error, 'ENOENT')) return null;
        throw error;
      });
      if (file === null) return null;
      try {
        const { size } = await file.stat();
        if (size > MAX_DOCUMENT) return null;
        // Not `readFile`, which asks for the size again and reads until nothing comes: each step is a hop through a thread.
        const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(size), 0, size, 0);
        const bytes = buffer.subarray(0, bytesRead);
        if (digestOf(bytes) !== digest) throw mismatch(`Blob ${digest}`, digest, digestOf(bytes));
        return bytes;
      } finally {
        await file.close();
      }
    },
    async list() {
      const files = await listFiles(layout.blobs);
      return files
        .filter(({ name }) => /^[0-9a-f]{64}$/.test(name))
        .map(({ name, size }) => ({ digest: `sha256:${name}`, size }));
    },
    remove: (digest) => removeFile(path(digest)),
  };
}
