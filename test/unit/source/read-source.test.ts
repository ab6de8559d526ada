import { spawnSync } from 'node:child_process';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { SourceTree } from '../../../services/core/functions/source/index.ts';
import { makeTar } from '../../helpers/make-tar.ts';
import { type RawEntry, rawPax, rawTar } from '../../helpers/raw-tar.ts';
import { rawZip } from '../../helpers/raw-zip.ts';

import { archive, FILES, paths, read, readInOwnFolder, SORTED, tarEntries, targz, zip } from './source-lab.ts';

readInOwnFolder();

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
