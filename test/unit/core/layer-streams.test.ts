/** The streams that a layer goes through on its way into the store. */
import { PassThrough, Readable, Writable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { gzipBlocks } from '../../../services/core/images/gzip-blocks.ts';
import { tee } from '../../../services/core/images/tee.ts';

const bytes = (length: number) => Buffer.from(Array.from({ length }, (_, at) => (at * 7 + (at >> 8)) & 0xff));
/** In pieces that fit no block. */
const pieces = (whole: Buffer, size = 65_537) =>
  Readable.from(
    Array.from({ length: Math.ceil(whole.length / size) }, (_, at) => whole.subarray(at * size, (at + 1) * size)),
  );

describe('gzipBlocks', () => {
  it.each([0, 1, 1024 * 1024 - 1, 1024 * 1024, 1024 * 1024 + 1, 5_500_000])(
    'gives back %i bytes to any gunzip, and is the same for the same bytes however they are cut',
    async (length) => {
      const whole = bytes(length);
      const packed = await buffer(gzipBlocks(pieces(whole), 1));
      expect(gunzipSync(packed).equals(whole)).toBe(true);
      expect((await buffer(gzipBlocks(pieces(whole, 1000), 1))).equals(packed)).toBe(true);
    },
  );

  it('fails with the error of its source', async () => {
    const broken = Readable.from(
      (async function* () {
        yield bytes(3_000_000);
        throw new Error('connection lost');
      })(),
    );
    await expect(buffer(gzipBlocks(broken, 1))).rejects.toThrow('connection lost');
  });
});

describe('tee', () => {
  const sink = () => {
    const stream = new PassThrough();
    return { stream, all: buffer(stream) };
  };

  it('gives every branch what the reader gets', async () => {
    const whole = bytes(300_000);
    const [one, two] = [sink(), sink()];
    const main = await buffer(Readable.from(tee(pieces(whole, 1000), [one.stream, two.stream])));
    for (const got of [main, await one.all, await two.all]) expect(got.equals(whole)).toBe(true);
  });

  it('waits for the slowest branch', async () => {
    let release = () => {};
    let taken = 0;
    const slow = new Writable({
      highWaterMark: 1,
      write(_chunk, _encoding, done) {
        taken += 1;
        release = done;
      },
    });
    const reader = tee(pieces(bytes(5000), 1000), [slow]);
    const first = reader.next();
    const winner = await Promise.race([first.then(() => 'read'), new Promise((go) => setImmediate(go, 'held'))]);
    expect([winner, taken]).toEqual(['held', 1]);
    release();
    expect((await first).done).toBe(false);
    slow.destroy();
  });

  it('goes on without a branch that was destroyed', async () => {
    const whole = bytes(100_000);
    const gone = new PassThrough({ highWaterMark: 1 });
    const main = buffer(Readable.from(tee(pieces(whole, 1000), [gone])));
    setImmediate(() => gone.destroy());
    expect((await main).equals(whole)).toBe(true);
  });

  it('breaks the branches off when the source does: none looks whole', async () => {
    const branch = new PassThrough();
    let ended = false;
    branch.on('end', () => {
      ended = true;
    });
    const broken = Readable.from(
      (async function* () {
        yield bytes(10);
        throw new Error('connection lost');
      })(),
    );
    const closed = new Promise((resolve) => branch.once('close', resolve));
    await expect(buffer(Readable.from(tee(broken, [branch.resume() as PassThrough])))).rejects.toThrow(
      'connection lost',
    );
    await closed;
    expect(ended).toBe(false);
  });
});
