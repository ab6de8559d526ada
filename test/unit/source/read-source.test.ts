import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { deflateRawSync, gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readSource, type SourceOptions, type SourceTree } from '../../../services/core/functions/source/index.ts';
import type { UploadSource } from '../../../services/core/functions/types.ts';
import { makeTar, streamOf } from '../../helpers/make-tar.ts';
import { type RawEntry, rawPax, rawTar } from '../../helpers/raw-tar.ts';
import { localPart, rawZip, type ZipPart } from '../../helpers/raw-zip.ts';

let tmpDir: string;
const trees: SourceTree[] = [];
beforeEach(() => {
  tmpDir = mkdtempSync(join(tmpdir(), 'wafer-source-'));
});
afterEach(async () => {
  for (const tree of trees.splice(0)) await tree.close();
  const left = readdirSync(tmpDir);
  rmSync(tmpDir, { recursive: true });
  expect(left).toEqual([]);
});

const never = new AbortController().signal;
async function read(source: UploadSource, options: Partial<SourceOptions> = {}, signal = never): Promise<SourceTree> {
  const tree = await readSource(source, { tmpDir, ...options }, signal);
  trees.push(tree);
  return tree;
}
const archive = (format: 'tar.gz' | 'zip', bytes: Buffer): UploadSource => ({
  kind: 'archive',
  format,
  stream: streamOf(bytes, 1000),
});
const targz = (tar: Buffer, options?: Partial<SourceOptions>) => read(archive('tar.gz', gzipSync(tar)), options);
const tarEntries = (entries: RawEntry[], options?: Partial<SourceOptions>) =>
  targz(rawTar([{ name: 'index.mjs', body: 'x' }, ...entries]), options);
const zip = (parts: ZipPart[], changes: Parameters<typeof rawZip>[1] = {}, options?: Partial<SourceOptions>) =>
  read(archive('zip', rawZip(parts, changes)), options);
const paths = (tree: SourceTree) => tree.entries.map((entry) => `${entry.path}${entry.kind === 'dir' ? '/' : ''}`);
const refused = (reason: RegExp, entry?: string) => ({
  code: 'invalid_archive',
  message: expect.stringMatching(reason),
  ...(entry === undefined ? {} : { details: expect.objectContaining({ entry }) }),
});

const FILES = { 'index.mjs': 'export {}', 'lib/a.txt': 'aaa', 'lib/deep/b.txt': 'b'.repeat(3000) };
const SORTED = ['index.mjs', 'lib/', 'lib/a.txt', 'lib/deep/', 'lib/deep/b.txt'];

describe('readSource accepts', () => {
  it.each<[string, () => Promise<SourceTree>]>([
    ['tar.gz', () => targz(makeTar(FILES))],
    ['zip, deflated', () => zip(Object.entries(FILES).map(([name, body]) => ({ name, body })))],
    ['zip, stored', () => zip(Object.entries(FILES).map(([name, body]) => ({ name, body, stored: true })))],
    ['inline files', () => read({ kind: 'files', files: { ...FILES, 'lib/a.txt': { base64: 'YWFh' } } })],
  ])('%s: the same tree, and the same layer tar', async (_, make) => {
    const tree = await make();
    expect(paths(tree)).toEqual(SORTED);
    expect(tree.totalBytes).toBe(3012);
    expect((await tree.read('lib/a.txt')).toString()).toBe('aaa');
    const reference = await targz(makeTar(FILES));
    const tar = await buffer(tree.toTar());
    expect(tar.equals(await buffer(reference.toTar()))).toBe(true);
    const listing = spawnSync('tar', ['-tvf', '-', '--numeric-owner'], { input: tar, encoding: 'utf8' });
    expect(listing.stderr).toBe('');
    expect(listing.stdout.replace(/ +/g, ' ').trim().split('\n')).toEqual([
      'drwxr-xr-x 0/0 0 1970-01-01 00:00 function/',
      '-rw-r--r-- 0/0 9 1970-01-01 00:00 function/index.mjs',
      'drwxr-xr-x 0/0 0 1970-01-01 00:00 function/lib/',
      '-rw-r--r-- 0/0 3 1970-01-01 00:00 function/lib/a.txt',
      'drwxr-xr-x 0/0 0 1970-01-01 00:00 function/lib/deep/',
      '-rw-r--r-- 0/0 3000 1970-01-01 00:00 function/lib/deep/b.txt',
    ]);
  });

  it('what tar and zip of this machine make, with ./ before the names', async () => {
    const made = spawnSync('tar', ['-czf', '-', '-C', new URL('.', import.meta.url).pathname, '.']);
    const tree = await read(archive('tar.gz', made.stdout));
    expect(tree.find('read-source.test.ts')?.kind).toBe('file');
  });

  it('links that stay inside, also when they point to nothing', async () => {
    const tree = await tarEntries([
      { name: 'a/b/up', type: '2', link: '../../index.mjs' },
      { name: 'a/dot', type: '2', link: '.' },
      { name: 'a/nothing', type: '2', link: 'b/../../not/there' },
      { name: 'top', type: '2', link: 'a/b/../..' },
    ]);
    expect(tree.find('a/b/up')).toMatchObject({ kind: 'symlink', target: '../../index.mjs' });
    const listing = spawnSync('tar', ['-tvf', '-'], { input: await buffer(tree.toTar('')), encoding: 'utf8' });
    expect(listing.stdout).toContain('a/b/up -> ../../index.mjs');
  });

  it('modes, of which only "executable" counts: setuid, setgid and sticky bits are dropped', async () => {
    const tree = await tarEntries([
      { name: 'suid', mode: 0o6755, body: 'x' },
      { name: 'secret', mode: 0o600, body: 'x' },
      { name: 'open', mode: 0o1777, body: 'x' },
    ]);
    expect(tree.entries.map((entry) => entry.mode.toString(8))).toEqual(['644', '755', '644', '755']);
    const zipped = await zip([
      { name: 'run', body: 'x', unixMode: 0o104755 },
      { name: 'plain', body: 'x' },
    ]);
    expect(zipped.entries.map((entry) => entry.mode.toString(8))).toEqual(['644', '755']);
  });

  it('owners, times and extended attributes of any size, and drops them', async () => {
    const strange = { name: 'f', body: 'x', uid: 0o7777777, mtime: 0o77777777777 };
    const pax = rawPax({
      'SCHILY.xattr.security.capability': 'x'.repeat(5000),
      'SCHILY.xattr.user.overlay.opaque': 'y',
    });
    const tree = await targz(rawTar([pax, strange]));
    const tar = (await buffer(tree.toTar())).toString('latin1');
    expect(tar).not.toContain('xattr');
    expect(tar).not.toContain('7777777');
  });

  it('archives of one folder without that folder; inline files as they are', async () => {
    const top = { 'repo-main/': null, 'repo-main/index.mjs': 'x', 'repo-main/lib/a': 'a' };
    expect(paths(await targz(makeTar({ '__MACOSX/x': 'junk', ...top })))).toEqual(['index.mjs', 'lib/', 'lib/a']);
    expect(paths(await targz(makeTar({ ...top, 'README.md': 'x' })))).toContain('repo-main/index.mjs');
    expect(paths(await read({ kind: 'files', files: { 'src/a': 'a' } }))).toEqual(['src/', 'src/a']);
  });

  it('junk, and ignores it; node_modules only when told so', async () => {
    const files = {
      'i.js': '',
      '.git/HEAD': 'x',
      'a/.DS_Store': '',
      'a/__pycache__/m.pyc': '',
      'a/node_modules/b/i.js': '',
    };
    expect(paths(await targz(makeTar(files)))).toEqual(['i.js']);
    expect(paths(await targz(makeTar(files), { keepNodeModules: true }))).toContain('a/node_modules/b/i.js');
  });

  it('long and non-ASCII names of GNU and PAX tars', async () => {
    const long = `${'d'.repeat(120)}/${'e'.repeat(120)}.txt`;
    const gnuLong: RawEntry = { name: '././@LongLink', type: 'L', body: `${long}\0` };
    const tree = await tarEntries([
      gnuLong,
      { name: 'cut', body: 'gnu' },
      rawPax({ path: 'ünï/ç.txt' }),
      { name: 'cut', body: 'pax' },
    ]);
    expect((await tree.read(long)).toString()).toBe('gnu');
    expect((await tree.read('ünï/ç.txt')).toString()).toBe('pax');
    const names = spawnSync('tar', ['-tf', '-', '--quoting-style=literal'], {
      input: await buffer(tree.toTar()),
      encoding: 'utf8',
    });
    expect(names.stdout).toContain(`function/${long}`);
    expect(names.stdout).toContain('function/ünï/ç.txt');
  });

  it('gzip of several members', async () => {
    const tar = makeTar(FILES);
    const bytes = Buffer.concat([gzipSync(tar.subarray(0, 700)), gzipSync(tar.subarray(700))]);
    expect(paths(await read(archive('tar.gz', bytes)))).toEqual(SORTED);
  });
});

describe('SourceTree', () => {
  it('toTar keeps what is asked for, with the folders above, and adds what the platform made', async () => {
    const tree = await targz(makeTar(FILES));
    const add = [
      { path: 'gen/out.mjs', content: Buffer.from('new') },
      { path: 'index.mjs', content: Buffer.from('replaced') },
    ];
    const tar = await buffer(tree.toTar('', { keep: (path) => path.endsWith('b.txt'), add }));
    const listing = spawnSync('tar', ['-tf', '-'], { input: tar, encoding: 'utf8' }).stdout.trim().split('\n');
    expect(listing).toEqual(['gen/', 'gen/out.mjs', 'index.mjs', 'lib/', 'lib/deep/', 'lib/deep/b.txt']);
    expect(tar.toString()).toContain('replaced');
  });

  it('read refuses what is not there, folders, links, and files that are too large', async () => {
    const tree = await tarEntries(
      [
        { name: 'd/f', body: 'x' },
        { name: 'l', type: '2', link: 'd/f' },
        { name: 'big', body: 'x'.repeat(101) },
      ],
      { readBytes: 100 },
    );
    for (const path of ['nope', 'd', 'l', 'big', '../x']) {
      await expect(tree.read(path)).rejects.toMatchObject({ code: 'invalid_archive', details: { entry: path } });
    }
  });

  it('close ends streams that are still read', async () => {
    const tree = await targz(makeTar({ big: Buffer.alloc(2_000_000) }));
    const stream = tree.toTar();
    await tree.close();
    await tree.close();
    await expect(buffer(stream)).rejects.toThrow();
  });
});

describe('readSource refuses names (I1)', () => {
  const cases: [string, RegExp][] = [
    ['../../x', /"\.\."/],
    ['a/../../x', /"\.\."/],
    ['a/..', /"\.\."/],
    ['..', /"\.\."/],
    ['/abs', /absolute/],
    ['//abs', /absolute/],
    ['C:/x', /absolute/],
    ['..\\x', /backslash/],
    ['C:\\x', /backslash/],
    ['a//b', /empty or "\."/],
    ['a/./b', /empty or "\."/],
    ['line\nbreak', /control/],
    ['\u001b[2J', /control/],
    [`${'n'.repeat(256)}`, /longer than 255/],
    [`${'n/'.repeat(65)}x`, /deeper than 64/],
    [`${`${'n'.repeat(200)}/`.repeat(6)}x`, /longer than 1024/],
  ];
  it.each(cases)('%j, in tar, zip and inline', async (name, reason) => {
    await expect(tarEntries([rawPax({ path: name }), { name: 'p', body: 'x' }])).rejects.toMatchObject(
      refused(reason, name.slice(0, 1024)),
    );
    await expect(zip([{ name, body: 'x' }])).rejects.toMatchObject(refused(reason, name.slice(0, 1024)));
    await expect(read({ kind: 'files', files: { [name]: 'x' } })).rejects.toMatchObject(refused(reason));
  });
  it('with a NUL byte, an empty name, and bytes that are not UTF-8', async () => {
    await expect(tarEntries([rawPax({ path: 'a\0b' }), { name: 'p', body: 'x' }])).rejects.toMatchObject(
      refused(/NUL/),
    );
    await expect(zip([{ name: 'a\0b', body: 'x' }])).rejects.toMatchObject(refused(/NUL/));
    await expect(zip([{ name: '', body: 'x' }])).rejects.toMatchObject(refused(/empty/));
    await expect(tarEntries([{ name: Buffer.from([0x61, 0xff]), body: 'x' }])).rejects.toMatchObject(refused(/UTF-8/));
    await expect(zip([{ name: Buffer.from([0x61, 0xff]), body: 'x' }])).rejects.toMatchObject(refused(/UTF-8/));
  });
});

describe('readSource refuses links and kinds (I2, I3, I4, I6)', () => {
  it.each<[string, RawEntry[], RegExp, string]>([
    ['a link out', [{ name: 'l', type: '2', link: '../x' }], /leaves the folder/, 'l'],
    ['a link to /', [{ name: 'l', type: '2', link: '/' }], /absolute/, 'l'],
    ['a link with an empty target', [{ name: 'l', type: '2', link: '' }], /empty/, 'l'],
    [
      'a link out and a file through it',
      [
        { name: 'l', type: '2', link: '..' },
        { name: 'l/x', body: 'x' },
      ],
      /lies below "l", which is a link/,
      'l/x',
    ],
    [
      'a file through a link that stays inside',
      [{ name: 'd/f' }, { name: 'l', type: '2', link: 'd' }, { name: 'l/x', body: 'x' }],
      /below "l"/,
      'l/x',
    ],
    [
      'a chain of links that leaves together',
      [
        { name: 'a/up', type: '2', link: '..' },
        { name: 'a/l', type: '2', link: 'up/../x' },
      ],
      /leaves the folder/,
      'a/l',
    ],
    [
      'a loop of links',
      [
        { name: 'a', type: '2', link: 'b' },
        { name: 'b', type: '2', link: 'a' },
      ],
      /loop/,
      'a',
    ],
    [
      'a link that takes for ever',
      [
        { name: 'here', type: '2', link: `${'x/../'.repeat(19)}.` },
        { name: 'long', type: '2', link: 'here/'.repeat(19) },
      ],
      /too many steps/,
      'long',
    ],
    ['a hard link', [{ name: 'h', type: '1', link: 'index.mjs' }], /hard link/, 'h'],
    ['a hard link to /', [{ name: 'h', type: '1', link: '/etc/passwd' }], /hard link/, 'h'],
    ['a character device', [{ name: 'c', type: '3' }], /device/, 'c'],
    ['a block device', [{ name: 'c', type: '4' }], /device/, 'c'],
    ['a pipe', [{ name: 'c', type: '6' }], /pipe/, 'c'],
    ['an unknown type', [{ name: 'c', type: 'Z' }], /type/, 'c'],
    ['a GNU sparse file', [{ name: 'c', type: 'S' }], /type/, 'c'],
    [
      'a PAX sparse file',
      [rawPax({ 'GNU.sparse.major': '1', 'GNU.sparse.realsize': '9223372036854775807' }), { name: 'c', body: 'x' }],
      /sparse/,
      'c',
    ],
    ['a folder with a size', [{ name: 'd/', type: '5', body: 'x'.repeat(600) }], /size must be 0/, 'd/'],
    [
      'a file twice',
      [
        { name: 'f', body: '1' },
        { name: 'f', body: '2' },
      ],
      /twice/,
      'f',
    ],
    [
      'a file twice, once with ./',
      [
        { name: 'f', body: '1' },
        { name: './f', body: '2' },
      ],
      /twice/,
      'f',
    ],
    [
      'a folder twice',
      [
        { name: 'd/', type: '5' },
        { name: 'd/', type: '5' },
      ],
      /twice/,
      'd',
    ],
    [
      'a folder replaced by a link',
      [
        { name: 'd/', type: '5' },
        { name: 'd', type: '2', link: '.' },
      ],
      /twice/,
      'd',
    ],
    [
      'a link replaced by a folder',
      [
        { name: 'd', type: '2', link: '.' },
        { name: 'd/', type: '5' },
      ],
      /twice/,
      'd',
    ],
    [
      'a file below a file',
      [
        { name: 'f', body: 'x' },
        { name: 'f/g', body: 'x' },
      ],
      /which is a file/,
      'f/g',
    ],
    [
      'a file over an implied folder',
      [
        { name: 'f/g', body: 'x' },
        { name: 'f', body: 'x' },
      ],
      /twice/,
      'f',
    ],
  ])('%s', async (_, entries, reason, entry) => {
    await expect(tarEntries(entries)).rejects.toMatchObject(refused(reason, entry));
  });
  it('a link that would leave once the only folder is stripped', async () => {
    const entries: RawEntry[] = [
      { name: 'top/f', body: 'x' },
      { name: 'top/l', type: '2', link: '../top/f' },
    ];
    await expect(targz(rawTar(entries))).rejects.toMatchObject(refused(/leaves the folder/, 'l'));
  });
  it('links and devices of a zip by their attributes', async () => {
    const link = { name: 'l', body: '../../etc/passwd', unixMode: 0o120777 };
    await expect(zip([{ name: 'f', body: 'x' }, link])).rejects.toMatchObject(refused(/leaves the folder/, 'l'));
    await expect(zip([{ name: 'f', body: '', unixMode: 0o010644 }])).rejects.toMatchObject(refused(/device/, 'f'));
    await expect(zip([{ name: 'f', body: '', unixMode: 0o040755 }])).rejects.toMatchObject(refused(/disagree/, 'f'));
    expect(
      (
        await zip([
          { name: 'f', body: 'x' },
          { ...link, body: 'f' },
        ])
      ).find('l'),
    ).toMatchObject({ target: 'f' });
  });
  it.each([
    ['README.md', 'readme.MD'],
    ['é.txt'.normalize('NFC'), 'é.txt'.normalize('NFD')],
    ['straße/a', 'strasse/b'],
    ['A/x', 'a/y'],
  ])('names that are one on other file systems: %s and %s (I5)', async (one, two) => {
    const refusal = { code: 'invalid_archive', message: expect.stringMatching(/only in case or Unicode/) };
    const error = await read({ kind: 'files', files: { [one]: '1', [two]: '2' } }).catch((caught: Error) => caught);
    expect(error).toMatchObject(refusal);
    for (const name of [one, two]) expect((error as Error).message).toContain(name.split('/')[0]);
  });
});

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

describe('readSource stops', () => {
  it.each(['tar.gz', 'zip'] as const)('when the signal aborts in the middle of a %s', async (format) => {
    const controller = new AbortController();
    const bytes = format === 'zip' ? rawZip([{ name: 'a', body: 'x' }]) : gzipSync(makeTar(FILES));
    const stream = Readable.from(
      (async function* () {
        yield bytes.subarray(0, 30);
        controller.abort(new Error('caller gone'));
        await new Promise(() => undefined);
      })(),
      { objectMode: false },
    );
    await expect(read({ kind: 'archive', format, stream }, {}, controller.signal)).rejects.toThrow('caller gone');
    expect(stream.destroyed).toBe(true);
  });
  it.each(['tar.gz', 'zip'] as const)('with the error of the stream when a %s upload breaks off', async (format) => {
    const stream = new Readable({ read: () => undefined });
    stream.push(gzipSync(makeTar(FILES)).subarray(0, 30));
    const reading = read({ kind: 'archive', format, stream });
    setImmediate(() => stream.destroy(new Error('socket closed')));
    await expect(reading).rejects.toThrow('socket closed');
  });
});
