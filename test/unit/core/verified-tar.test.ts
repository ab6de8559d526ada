import { createHash, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { expect, it } from 'vitest';
import { verifiedTar } from '../../../services/core/images/verified-tar.ts';

const sha256 = (bytes: Buffer) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
const chunked = (bytes: Buffer, size: number) =>
  Readable.from(
    (function* () {
      for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
    })(),
    { objectMode: false },
  );

const withZeros = Buffer.concat([
  Buffer.alloc(1000),
  randomBytes(70_000),
  Buffer.alloc(200_000),
  Buffer.from([1]),
  Buffer.alloc(150_000),
]);

it.each([1, 7, 512, 65_536, 100_000, 1_000_000])('passes right bytes unchanged in chunks of %i', async (size) => {
  const bytes = size === 1 ? withZeros.subarray(0, 5_000) : withZeros;
  const { stream, result } = verifiedTar(sha256(bytes));
  expect((await buffer(chunked(bytes, size).pipe(stream))).equals(bytes)).toBe(true);
  expect(result()).toEqual({ bytes: bytes.length });
});

it('of wrong bytes never lets out the zeros at the end, which are the end mark of a tar', async () => {
  const { stream } = verifiedTar(sha256(Buffer.from('other')));
  const seen: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => seen.push(chunk));
  const failed = new Promise<Error>((resolve) => stream.once('error', resolve));
  chunked(withZeros, 65_536).pipe(stream);
  expect(await failed).toMatchObject({ code: 'digest_mismatch' });
  expect(Buffer.concat(seen).at(-1)).toBe(1);
});
