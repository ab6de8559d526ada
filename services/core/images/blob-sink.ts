import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { mismatch } from './digest.ts';
import type { BlobSink, Descriptor } from './types.ts';

/** Counts and digests what it writes to the file. `check` when the source is done. */
export function blobSink(file: FileHandle, { digest, size }: Descriptor): BlobSink & { check(): void } {
  let hash = createHash('sha256');
  let written = 0;
  return {
    get size() {
      return written;
    },
    async append(chunk) {
      if (written + chunk.length > size) throw mismatch('A blob', digest, `longer than ${size} bytes`);
      for (let at = 0; at < chunk.length; ) {
        at += (await file.write(chunk, at, chunk.length - at, written + at)).bytesWritten;
      }
      hash.update(chunk);
      written += chunk.length;
    },
    async restart() {
      await file.truncate(0);
      hash = createHash('sha256');
      written = 0;
    },
    check() {
      if (written !== size) throw mismatch('A blob', digest, `${written} of ${size} bytes`);
      const found = `sha256:${hash.digest('hex')}`;
      if (found !== digest) throw mismatch('A blob', digest, found);
    },
  };
}
