import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { deflateRawSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { SourceTree } from '../../../services/core/functions/source/index.ts';
import type { UploadSource } from '../../../services/core/functions/types.ts';
import { makeTar } from '../../helpers/make-tar.ts';
import { type RawEntry, rawPax, rawTar } from '../../helpers/raw-tar.ts';
import { localPart, rawZip, type ZipPart } from '../../helpers/raw-zip.ts';

import { archive, FILES, paths, read, readInOwnFolder, refused, tarEntries, targz, zip } from './source-lab.ts';

readInOwnFolder();

describe('readSource refuses damage (I8, I9, I12)', () => {
  const tar = makeTar(FILES);
  const gz = gzipSync(tar);
  it.each<[string, Buffer, RegExp]>([
    ['nothing', Buffer.alloc(0), /empty/],
    ['HTML', Buffer.from('<!DOCTYPE html><p>404'), /not a gzip/],
    ['one byte', Buffer.from([0x1f]), /damaged/],
    ['a zip', rawZip([{ name: 'a', body: 'x' }]), /not a gzip/],
    ['cut gzip', gz.subarray(0, -20), /damaged or cut off/],
    ['a wrong gzip checksum', Buffer.concat([gz.subarray(0, -8), Buffer.alloc(8, 1)]), /damaged/],
    ['junk behind the gzip', Buffer.concat([gz, Buffer.from('junk')]), /damaged/],
    ['zeros and junk behind the gzip', Buffer.concat([gz, Buffer.from('\0\0junk')]), /follows its end/],
    ['gzip of nothing', gzipSync(Buffer.alloc(0)), /end mark/],
    ['gzip of text', gzipSync(Buffer.from('hello '.repeat(200))), /damaged/],
    ['gzip in gzip', gzipSync(gz), /damaged|cut off/],
    ['a tar cut inside a file', gzipSync(tar.subarray(0, 1200)), /cut off/],
    ['a tar cut between entries', gzipSync(tar.subarray(0, 1024)), /end mark/],
    [
      'a wrong header checksum',
      gzipSync(Buffer.concat([tar.subarray(0, 10), Buffer.from('!'), tar.subarray(11)])),
      /damaged/,
    ],
    ['junk behind the tar', gzipSync(Buffer.concat([tar, Buffer.from('junk'.repeat(128))])), /damaged|end mark/],
    ['a tar without files', gzipSync(makeTar({ 'd/': null })), /no files/],
    ['an empty tar', gzipSync(makeTar({})), /no files/],
    [
      'a negative size',
      gzipSync(rawTar([{ name: 'n', rawSize: Buffer.from('ffffffffffffffffffffff00', 'hex') }])),
      /damaged/,
    ],
    ['a size that is no number', gzipSync(rawTar([{ name: 'n', rawSize: Buffer.from('zzzzzzzzzzz\0') }])), /damaged/],
  ])('%s', async (_, bytes, reason) => {
    await expect(read(archive('tar.gz', bytes))).rejects.toMatchObject(refused(reason));
  });
  it('every prefix of a small archive, and never hangs', async () => {
    for (let length = 0; length < gz.length; length++) {
      await expect(read(archive('tar.gz', gz.subarray(0, length)))).rejects.toMatchObject({ code: 'invalid_archive' });
    }
  });
  it('inline content that is not base64', async () => {
    for (const base64 of ['a', '****', 'YQ=a', 'YWFh\n']) {
      await expect(read({ kind: 'files', files: { f: { base64 } } })).rejects.toMatchObject(refused(/base64/, 'f'));
    }
    await expect(read({ kind: 'files', files: {} })).rejects.toMatchObject(refused(/no files/));
    await expect(read({ kind: 'files', files: { 'd/': '' } })).rejects.toMatchObject(refused(/folder/));
  });
});

describe('readSource refuses what is too large (I9, I10)', () => {
  const tooLarge = (reason: RegExp) => ({ code: 'archive_too_large', message: expect.stringMatching(reason) });
  const MIB = 1024 * 1024;

  it('more bytes than may be sent, at once and without reading on', async () => {
    let sent = 0;
    const endless = Readable.from(
      (function* () {
        for (yield gzipSync(makeTar(FILES)).subarray(0, 20); ; sent++) yield Buffer.alloc(1000, sent);
      })(),
      { objectMode: false },
    );
    const source: UploadSource = { kind: 'archive', format: 'zip', stream: endless };
    await expect(read(source, { compressedBytes: 100_000 })).rejects.toMatchObject(tooLarge(/sent/));
    expect(sent).toBeLessThan(300);
    expect(endless.destroyed).toBe(true);
  });
  it('a gzip bomb: by ratio above the floor, by bytes below the ratio', async () => {
    const bomb = gzipSync(makeTar({ zeros: Buffer.alloc(40 * MIB) }));
    expect(bomb.length).toBeLessThan(MIB);
    await expect(read(archive('tar.gz', bomb))).rejects.toMatchObject(tooLarge(/200 times/));
    await expect(read(archive('tar.gz', bomb), { ratio: 1e9, unpackedBytes: 30 * MIB })).rejects.toMatchObject(
      tooLarge(/30 MiB/),
    );
    const honest = gzipSync(makeTar({ zeros: Buffer.alloc(20 * MIB) }));
    expect((await read(archive('tar.gz', honest))).totalBytes).toBe(20 * MIB);
  });
  it('a zip bomb, also one that lies about its size', async () => {
    const zeros = Buffer.alloc(40 * MIB);
    await expect(zip([{ name: 'z', body: zeros }])).rejects.toMatchObject(tooLarge(/200 times/));
    await expect(zip([{ name: 'z', body: zeros }], {}, { ratio: 1e9, unpackedBytes: 30 * MIB })).rejects.toMatchObject(
      tooLarge(/30 MiB/),
    );
    await expect(zip([{ name: 'z', body: zeros, claimSize: 10 }])).rejects.toMatchObject(
      refused(/damaged|too many bytes/),
    );
    await expect(zip([{ name: 'z', body: 'x', claimSize: 100 }])).rejects.toMatchObject(refused(/damaged|not enough/));
  });
  it('a file whose header says so, before a byte of it comes', async () => {
    const huge = rawTar([{ name: 'h', rawSize: Buffer.from('77777777777\0') }]);
    await expect(targz(huge)).rejects.toMatchObject(tooLarge(/files hold more/));
    const sparse = rawTar([rawPax({ size: '9223372036854775807' }), { name: 'h' }]);
    await expect(targz(sparse)).rejects.toMatchObject(tooLarge(/files hold more/));
  });
  it('too many entries, of any kind', async () => {
    const many = Array.from({ length: 30 }, (_, index): RawEntry => ({ name: `.git/${index}` }));
    await expect(tarEntries(many, { entries: 20 })).rejects.toMatchObject(tooLarge(/20 entries/));
    await expect(
      zip(
        Array.from({ length: 30 }, (_, index) => ({ name: `${index}`, body: '' })),
        {},
        { entries: 20 },
      ),
    ).rejects.toMatchObject(tooLarge(/20 entries/));
    const deep = Array.from({ length: 3 }, (_, index): RawEntry => ({ name: `${`${index}/`.repeat(10)}f` }));
    await expect(tarEntries(deep, { entries: 20 })).rejects.toMatchObject(tooLarge(/20 files and folders/));
  });
  it('PAX headers that are too large, alone and together', async () => {
    const one = rawPax({ comment: 'x'.repeat(5 * MIB) });
    await expect(targz(rawTar([one, { name: 'f', body: 'x' }]))).rejects.toMatchObject(refused(/max size/));
    const noise = rawPax({ comment: randomBytes(MIB / 2).toString('hex') }, 'g');
    const many = Array.from({ length: 40 }, () => noise);
    await expect(
      targz(rawTar([...many, { name: 'f', body: 'x' }]), { unpackedBytes: MIB, entries: 1000, ratio: 1e9 }),
    ).rejects.toMatchObject(tooLarge(/unpacks/));
  });
});

describe('readSource refuses zips that lie (I11)', () => {
  const ok: ZipPart = { name: 'a', body: 'hello' };
  it.each<[string, () => Buffer, RegExp]>([
    ['nothing', () => Buffer.alloc(0), /empty/],
    ['HTML', () => Buffer.from('<!DOCTYPE html>'.repeat(10)), /damaged/],
    ['a cut zip', () => rawZip([ok]).subarray(0, -10), /damaged/],
    ['an encrypted entry', () => rawZip([{ ...ok, flags: 1 }]), /encrypted/],
    ['strong encryption', () => rawZip([{ ...ok, flags: 0x41 }]), /damaged|encrypt/],
    ['a local name that differs', () => rawZip([{ ...ok, localName: 'b' }]), /disagree/],
    ['a local size that differs', () => rawZip([{ ...ok, localSize: 4 }]), /disagree/],
    ['a wrong checksum', () => rawZip([{ ...ok, crc: 1 }]), /checksum/],
    ['an unknown method', () => rawZip([{ ...ok, method: 12 }]), /method 12/],
    ['a damaged body', () => rawZip([{ ...ok, packed: Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff]) }]), /damaged/],
    ['a body that ends early', () => rawZip([{ ...ok, packed: deflateRawSync('hello').subarray(0, 3) }]), /damaged/],
    [
      'an entry inside of another one',
      () =>
        rawZip([
          { name: 'b', body: localPart(ok), stored: true },
          { ...ok, directoryOnly: true, offset: 31 },
        ]),
      /overlap/,
    ],
    [
      'the same bytes for two entries',
      () =>
        rawZip([
          { ...ok, body: 'x'.repeat(100), stored: true },
          { ...ok, offset: 0 },
        ]),
      /overlap|disagree|twice/,
    ],
    [
      'an entry count that hides one',
      () => rawZip([ok, { ...ok, name: 'b' }], { count: 1 }),
      /does not end where it says/,
    ],
    ['an entry count that is too large', () => rawZip([ok], { count: 3 }), /damaged/],
    [
      'something before the first entry',
      () => Buffer.concat([Buffer.from('#!/bin/sh\n'), rawZip([ok], { shift: 10 })]),
      /before its first entry/,
    ],
    ['something behind the end', () => Buffer.concat([rawZip([ok]), Buffer.from('junk')]), /damaged/],
    ['a directory offset outside', () => rawZip([ok], { directoryOffset: 0xfffffff0 }), /damaged/],
    ['an entry offset outside', () => rawZip([{ ...ok, offset: 0xffffff }]), /damaged/],
    [
      'a zip64 locator that points beyond what a number holds',
      () => rawZip([ok], { zip64Locator: 0xffffffffffffffffn }),
      /damaged/,
    ],
    ['a zip64 locator that points to itself', () => rawZip([ok], { zip64Locator: 1n }), /damaged/],
    ['a folder with content', () => rawZip([{ ...ok, name: 'd/' }]), /size must be 0/],
    ['a name twice', () => rawZip([ok, ok]), /twice/],
    ['an extra field that overruns', () => rawZip([{ ...ok, extra: Buffer.from([1, 0, 0xff, 0xff]) }]), /damaged/],
  ])('%s', async (_, make, reason) => {
    await expect(read(archive('zip', make()))).rejects.toMatchObject(refused(reason));
  });
  it('every prefix and every changed byte of a small zip either fails cleanly or gives the same names', async () => {
    const bytes = rawZip([ok, { name: 'd/b', body: 'x'.repeat(50) }]);
    for (let at = 0; at < bytes.length; at++) {
      await expect(read(archive('zip', bytes.subarray(0, at)))).rejects.toMatchObject({ code: 'invalid_archive' });
      const changed = Buffer.from(bytes);
      changed[at]! ^= 0xff;
      const result = await read(archive('zip', changed)).catch((error: unknown) => error);
      if (result instanceof Error) expect(result).toMatchObject({ name: 'WaferError' });
      else expect(paths(result as SourceTree)).toEqual(['a', 'd/', 'd/b']);
    }
  });
});
