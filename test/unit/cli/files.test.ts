/** `wafer cp`: docker's rules, and tars of hostile containers. */
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { extract, type Header, pack } from 'tar-stream';
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest';
import { entryParts, staysInside } from '../../../services/cli/files/local-tree.ts';
import { packPath } from '../../../services/cli/files/pack.ts';
import { peekTar } from '../../../services/cli/files/peek.ts';
import { chooseTarget, type Kind, lastName, parentOf, readPlace } from '../../../services/cli/files/place.ts';
import { unpackTar } from '../../../services/cli/files/unpack.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'wafer-cp-'));
  mkdirSync(join(dir, 'out'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

type Entry = Partial<Header> & { name: string; text?: string };

/** A tar as a hostile container may send it: names are taken as they are. */
function tar(...entries: Entry[]): Readable {
  const stream = pack();
  for (const { text = '', ...header } of entries) stream.entry(header as Header, text);
  stream.finalize();
  return Readable.from(stream as AsyncIterable<Buffer>);
}
const unpack = (entries: Entry[], rename = 'got', allLinks = false) =>
  unpackTar(tar(...entries), { dir: join(dir, 'out'), rename, allLinks });
const out = (...names: string[]) => join(dir, 'out', ...names);

describe('unpackTar()', () => {
  it('writes files, directories and links, with modes and times, under another name', async () => {
    const mtime = new Date(1_600_000_000_000);
    const result = await unpack([
      { name: 'app/', type: 'directory', mode: 0o750, mtime },
      { name: 'app/run', mode: 0o4755, mtime, text: 'hi' },
      { name: 'app/sub/deep', text: 'x' },
      { name: 'app/sub/link', type: 'symlink', linkname: '../run' },
      { name: 'app/again', type: 'link', linkname: 'app/run', mode: 0o644 },
    ]);
    expect(result).toEqual({ files: 4, bytes: 3, left: [] });
    expect(readFileSync(out('got/run'), 'utf8')).toBe('hi');
    // Set-id bits do not travel.
    expect(statSync(out('got/run')).mode & 0o7777).toBe(0o755);
    expect(statSync(out('got/run')).mtimeMs).toBe(mtime.getTime());
    expect(statSync(out('got')).mode & 0o777).toBe(0o750);
    expect(readlinkSync(out('got/sub/link'))).toBe('../run');
    expect(readFileSync(out('got/again'), 'utf8')).toBe('hi');
  });

  it('with an empty name the content goes into the directory', async () => {
    await unpack(
      [
        { name: 'app/', type: 'directory' },
        { name: 'app/a', text: '1' },
      ],
      '',
    );
    expect(readdirSync(out())).toEqual(['a']);
  });

  it.each([
    ['a name that goes up', { name: 'app/../../evil', text: 'x' }],
    ['an absolute name', { name: '/etc/evil', text: 'x' }],
    ['a directory that goes up', { name: 'app/../../evil/', type: 'directory' as const }],
    ['a name beside what was asked for', { name: 'other', text: 'x' }],
    ['a hard link that goes up', { name: 'app/h', type: 'link' as const, linkname: '../../secret' }],
    ['an absolute hard link', { name: 'app/h', type: 'link' as const, linkname: '/secret' }],
    ['a hard link to what is not in it', { name: 'app/h', type: 'link' as const, linkname: 'app/none' }],
  ])('refuses %s, and nothing is written outside', async (_fact, entry) => {
    writeFileSync(join(dir, 'secret'), 'mine');
    await expect(unpack([{ name: 'app/', type: 'directory' }, entry])).rejects.toMatchObject({
      code: 'invalid_archive',
    });
    expect(readdirSync(dir).sort()).toEqual(['out', 'secret']);
  });

  it('does not write through a link of the archive, even when links are wanted', async () => {
    mkdirSync(join(dir, 'victim'));
    const entries: Entry[] = [
      { name: 'app/', type: 'directory' },
      { name: 'app/door', type: 'symlink', linkname: '../../victim' },
      { name: 'app/door/evil', text: 'x' },
    ];
    await expect(unpack(entries, 'got', true)).rejects.toMatchObject({ code: 'invalid_archive' });
    expect(readdirSync(join(dir, 'victim'))).toEqual([]);
  });

  it('does not write through a link that was there before', async () => {
    mkdirSync(join(dir, 'victim'));
    mkdirSync(out('got'));
    symlinkSync(join(dir, 'victim'), out('got/door'));
    writeFileSync(join(dir, 'target'), 'mine');
    symlinkSync(join(dir, 'target'), out('got/file'));
    await expect(unpack([{ name: 'app/door/evil', text: 'x' }])).rejects.toMatchObject({ code: 'invalid_archive' });
    await unpack([{ name: 'app/file', text: 'theirs' }]);
    expect(readFileSync(join(dir, 'target'), 'utf8')).toBe('mine');
    expect(lstatSync(out('got/file')).isFile()).toBe(true);
    expect(readdirSync(join(dir, 'victim'))).toEqual([]);
  });

  it('leaves out links that lead out, devices and pipes, and says which', async () => {
    const entries: Entry[] = [
      { name: 'app/', type: 'directory' },
      { name: 'app/abs', type: 'symlink', linkname: '/etc/passwd' },
      { name: 'app/up', type: 'symlink', linkname: '../../x' },
      { name: 'app/null', type: 'character-device', devmajor: 1, devminor: 3 },
      { name: 'app/pipe', type: 'fifo' },
      { name: 'app/fine', text: 'x' },
    ];
    const { files, left } = await unpack(entries);
    expect(files).toBe(1);
    expect(left.map(({ path }) => path)).toEqual(['got/abs', 'got/up', 'got/null', 'got/pipe']);
    expect(readdirSync(out('got'))).toEqual(['fine']);
    await unpack(entries.slice(0, 3), 'all', true);
    expect(readlinkSync(out('all/abs'))).toBe('/etc/passwd');
  });

  it('does not empty a directory that is in the way of a file', async () => {
    mkdirSync(out('got/app'), { recursive: true });
    writeFileSync(out('got/app/mine'), 'x');
    await expect(unpack([{ name: 'x/app', text: 'y' }])).rejects.toMatchObject({ code: 'invalid_archive' });
    expect(existsSync(out('got/app/mine'))).toBe(true);
  });

  it('a connection that breaks in the middle is told', async () => {
    const whole = await buffer(tar({ name: 'app', text: 'x'.repeat(100_000) }));
    const broken = Readable.from(
      (async function* () {
        yield whole.subarray(0, 5000);
        throw new Error('reset');
      })(),
      { objectMode: false },
    );
    await expect(unpackTar(broken, { dir: out(), rename: 'a', allLinks: false })).rejects.toMatchObject({
      code: 'not_reachable',
    });
  });
});

test.each([
  [['a'], 'b', true],
  [['a', 'b'], '../c', true],
  [['a', 'b'], '../../c', false],
  [['a'], '/b', false],
  [['a'], '..', false],
  [['a', 'b'], '..', true],
  [['a'], 'x/../../c', false],
  // Lexically inside, but x may be a link to elsewhere in the copy.
  [['a'], 'x/../c', false],
  [['a'], '', false],
])('staysInside(%j, %s) is %s', (from, target, inside) => expect(staysInside(from, target)).toBe(inside));

test('entryParts() takes names below, and no others', () => {
  expect(entryParts('./a//b/')).toEqual(['a', 'b']);
  for (const name of ['/a', 'a/../b', '..', 'a\0b', 'a/'.repeat(600)])
    expect(() => entryParts(name)).toThrowError(expect.objectContaining({ code: 'invalid_archive' }));
});

test('packPath() gives what unpackTar() makes again', async () => {
  mkdirSync(join(dir, 'src/sub'), { recursive: true });
  writeFileSync(join(dir, 'src/sub/file'), 'text', { mode: 0o640 });
  symlinkSync('sub/file', join(dir, 'src/link'));
  await unpackTar(packPath(join(dir, 'src'), 'src'), { dir: out(), rename: 'copy', allLinks: false });
  expect(readFileSync(out('copy/link'), 'utf8')).toBe('text');
  expect(statSync(out('copy/sub/file')).mode & 0o777).toBe(0o640);
  const names: string[] = [];
  const entries = extract();
  packPath(join(dir, 'src'), '').pipe(entries);
  for await (const entry of entries) {
    names.push(entry.header.name);
    entry.resume();
  }
  expect(names).toEqual(['link', 'sub/', 'sub/file']);
});

test('peekTar() tells the first entry and keeps the whole tar', async () => {
  const { header, tar: whole } = await peekTar(
    tar({ name: 'big/', type: 'directory' }, { name: 'big/file', text: 'y'.repeat(300_000) }),
  );
  expect(header).toMatchObject({ name: 'big/', type: 'directory' });
  await unpackTar(whole, { dir: out(), rename: 'big', allLinks: false });
  expect(statSync(out('big/file')).size).toBe(300_000);
  const small = await peekTar(tar({ name: 'small', text: 'z' }));
  expect(small.header).toMatchObject({ name: 'small', type: 'file' });
  await unpackTar(small.tar, { dir: out(), rename: 'small', allLinks: false });
  expect(readFileSync(out('small'), 'utf8')).toBe('z');
  await expect(peekTar(tar())).rejects.toThrow(/empty/);
});

describe('where a copy goes', () => {
  const target = (from: string, isDir: boolean, to: string, kind: Kind) =>
    chooseTarget(
      { path: from, isDir, name: lastName(from) },
      { path: to, kind, parent: parentOf(to), name: lastName(to), shown: to },
    );

  it.each([
    ['a file over a file', '/a/f', false, '/b/g', 'file', '/b', 'g'],
    ['a file under a new name', '/a/f', false, '/b/g', 'missing', '/b', 'g'],
    ['a file into a directory', '/a/f', false, '/b', 'dir', '/b', 'f'],
    ['a directory into a directory', '/a/d', true, '/b', 'dir', '/b', 'd'],
    ['the content of a directory into a directory', '/a/d/.', true, '/b', 'dir', '/b', ''],
    ['a directory under a new name', '/a/d', true, '/b/e', 'missing', '/b', 'e'],
    ['a directory under a new name with a slash', '/a/d', true, '/b/e/', 'missing', '/b', 'e'],
  ] as const)('%s', (_fact, from, isDir, to, kind, dirThere, name) => {
    expect(target(from, isDir, to, kind)).toEqual({ dir: dirThere, name });
  });

  it('a directory over a file, and a file as a directory that is not there, are refused', () => {
    expect(() => target('/d', true, '/f', 'file')).toThrow(/is a file/);
    expect(() => target('/f', false, '/b/', 'missing')).toThrow(/no directory/);
    expect(() => target('/f', false, '/g/', 'file')).toThrow(/not a directory/);
  });

  it.each([
    ['web:/etc', { kind: 'inside', container: 'web', path: '/etc' }],
    ['web:etc/../var/', { kind: 'inside', container: 'web', path: '/var/' }],
    ['web:/a/.', { kind: 'inside', container: 'web', path: '/a/.' }],
    ['web:/../..', { kind: 'inside', container: 'web', path: '/' }],
    ['./a:b', { kind: 'local', path: './a:b' }],
    ['/a:b', { kind: 'local', path: '/a:b' }],
    ['plain', { kind: 'local', path: 'plain' }],
    ['-', { kind: 'stream' }],
  ])('%s', (text, place) => expect(readPlace(text)).toEqual(place));
});
