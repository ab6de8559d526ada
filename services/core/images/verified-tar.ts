/**
 * A tar that its reader can not find complete before its digest is known to be right.
 *
 * Who unpacks reads until the end mark (two blocks of zeros) and then has the layer, so an error
 * at the end of the stream would come too late. All zeros at the end are held back until the
 * digest was compared: without them the tar is cut off, and nothing is unpacked.
 */
import { createHash } from 'node:crypto';
import { Transform } from 'node:stream';
import { WaferError } from '../errors.ts';
import { mismatch } from './digest.ts';
import type { Digest } from './types.ts';

export interface Verified {
  bytes: number;
}

const ZEROS = Buffer.alloc(64 * 1024);
/** A tar beyond this is a bomb; the engine has caps of its own for what it writes. */
const MAX_TAR_BYTES = 32 * 1024 ** 3;

/** Bytes before the zeros at the end. */
function lengthWithoutZeros(chunk: Buffer): number {
  let end = chunk.length;
  while (end >= ZEROS.length && chunk.subarray(end - ZEROS.length, end).equals(ZEROS)) end -= ZEROS.length;
  while (end > 0 && chunk[end - 1] === 0) end -= 1;
  return end;
}

export function verifiedTar(diffId: Digest): { stream: Transform; result(): Verified } {
  const hash = createHash('sha256');
  let bytes = 0;
  let heldZeros = 0;
  const release = (stream: Transform) => {
    for (; heldZeros > 0; heldZeros -= Math.min(heldZeros, ZEROS.length)) {
      stream.push(ZEROS.subarray(0, Math.min(heldZeros, ZEROS.length)));
    }
  };
  const stream = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      bytes += chunk.length;
      if (bytes > MAX_TAR_BYTES) {
        return done(new WaferError('invalid_image', `Layer ${diffId} unpacks to more than ${MAX_TAR_BYTES} bytes.`));
      }
      const length = lengthWithoutZeros(chunk);
      if (length > 0) {
        release(stream);
        stream.push(chunk.subarray(0, length));
      }
      heldZeros += chunk.length - length;
      done();
    },
    flush(done) {
      const found = `sha256:${hash.digest('hex')}`;
      if (found !== diffId) return done(mismatch('The content of a layer', diffId, found));
      release(stream);
      done();
    },
  });
  return { stream, result: () => ({ bytes }) };
}
