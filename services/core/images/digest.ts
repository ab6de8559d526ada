import { createHash } from 'node:crypto';
import { Transform } from 'node:stream';
import { WaferError } from '../errors.ts';
import type { Digest } from './types.ts';

const DIGEST = /^sha256:[0-9a-f]{64}$/;

export function isDigest(value: unknown): value is Digest {
  return typeof value === 'string' && DIGEST.test(value);
}

/**
 * The only way from a digest to a file name: nothing that fails here reaches a path.
 * @throws WaferError `invalid_request`
 */
export function hexOf(digest: Digest): string {
  if (!isDigest(digest)) {
    throw new WaferError('invalid_request', `${JSON.stringify(String(digest).slice(0, 100))} is not a sha256 digest.`);
  }
  return digest.slice('sha256:'.length);
}

export function digestOf(bytes: Buffer | string): Digest {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

export interface Tap {
  stream: Transform;
  /** Valid once the stream has ended. */
  result(): { digest: Digest; bytes: number };
}

/** Passes bytes through and digests them on the way. */
export function digestTap(): Tap {
  const hash = createHash('sha256');
  let bytes = 0;
  let digest: Digest | undefined;
  const stream = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      bytes += chunk.length;
      done(null, chunk);
    },
  });
  return {
    stream,
    result() {
      digest ??= `sha256:${hash.digest('hex')}`;
      return { digest, bytes };
    },
  };
}

export function mismatch(what: string, expected: Digest, found: string): WaferError {
  return new WaferError('digest_mismatch', `${what} should be ${expected}, but is ${found}.`, {
    details: { expected, found },
  });
}

/** Fails at the end, before its reader sees the end, when the bytes are not what they should be; at once when there are too many. */
export function digestGate(expected: { digest: Digest; size?: number }, what: string): Transform {
  const hash = createHash('sha256');
  let bytes = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      bytes += chunk.length;
      const isTooLong = expected.size !== undefined && bytes > expected.size;
      done(isTooLong ? mismatch(what, expected.digest, `longer than ${expected.size} bytes`) : null, chunk);
    },
    flush(done) {
      const found = `sha256:${hash.digest('hex')}`;
      done(found === expected.digest ? null : mismatch(what, expected.digest, found));
    },
  });
}

/** The chain id of every layer in a stack: names the whole stack up to it, so equal ones are equal file systems. */
export function chainIds(diffIds: readonly Digest[]): Digest[] {
  const chain: Digest[] = [];
  for (const diffId of diffIds) {
    const parent = chain.at(-1);
    chain.push(parent === undefined ? diffId : digestOf(`${parent} ${diffId}`));
  }
  return chain;
}
