/** Tars for tests: `{ 'a/b.txt': 'text', 'c/': null }`, in the order of the keys. */
import { Readable } from 'node:stream';
import { tarEnd, tarHeader } from '../../services/core/functions/source/tar-writer.ts';

export function makeTar(files: Record<string, string | Buffer | null>): Buffer {
  const parts = Object.entries(files).flatMap(([path, content]) => {
    if (content === null) return [tarHeader({ kind: 'dir', path: path.replace(/\/$/, ''), mode: 0o755, size: 0 })];
    const bytes = Buffer.from(content);
    const header = tarHeader({ kind: 'file', path, mode: 0o644, size: bytes.length });
    return [header, bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)];
  });
  return Buffer.concat([...parts, tarEnd()]);
}

/** In chunks, as from a socket. */
export function streamOf(bytes: Buffer, chunkSize = 16 * 1024): Readable {
  const chunks = function* () {
    for (let at = 0; at < bytes.length; at += chunkSize) yield bytes.subarray(at, at + chunkSize);
  };
  return Readable.from(chunks(), { objectMode: false });
}
