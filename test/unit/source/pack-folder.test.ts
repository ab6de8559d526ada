import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseIgnoreFile } from '../../../services/core/functions/source/ignore-file.ts';
import { packFolder, readFolderConfig } from '../../../services/core/functions/source/pack-folder.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'wafer-pack-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const put = (path: string, text = path) => {
  mkdirSync(join(dir, path, '..'), { recursive: true });
  writeFileSync(join(dir, path), text);
};
const listing = (archive: Buffer) =>
  spawnSync('tar', ['-tvzf', '-', '--numeric-owner'], { input: archive, encoding: 'utf8' }).stdout.trim().split('\n');
const names = async () => {
  const archive = await buffer((await packFolder(dir)).stream);
  return spawnSync('tar', ['-tzf', '-'], { input: archive, encoding: 'utf8' }).stdout.trim().split('\n');
};

describe('packFolder', () => {
  it('packs files, folders and links so that tar reads them, with normal modes and no owner or time', async () => {
    put('index.mjs');
    put('bin/run');
    chmodSync(join(dir, 'bin/run'), 0o4711);
    symlinkSync('index.mjs', join(dir, 'link'));
    const { stream, files } = await packFolder(dir);
    const lines = listing(await buffer(stream));
    expect(files).toBe(3);
    expect(lines.map((line) => line.replace(/\s+/g, ' '))).toEqual([
      'drwxr-xr-x 0/0 0 1970-01-01 00:00 bin/',
      '-rwxr-xr-x 0/0 7 1970-01-01 00:00 bin/run',
      '-rw-r--r-- 0/0 9 1970-01-01 00:00 index.mjs',
      'lrwxrwxrwx 0/0 0 1970-01-01 00:00 link -> index.mjs',
    ]);
  });

  it('gives the same bytes for the same tree, whatever the times', async () => {
    put('a.txt');
    put('b/c.txt');
    const first = await buffer((await packFolder(dir)).stream);
    utimesSync(join(dir, 'a.txt'), 1, 1);
    expect((await buffer((await packFolder(dir)).stream)).equals(first)).toBe(true);
  });

  it('keeps long and non-ASCII names and link targets', async () => {
    const deep = `${'d'.repeat(200)}/${'é'.repeat(60)}/${'f'.repeat(150)}.txt`;
    put(deep, 'deep');
    put('plain/'.repeat(30) + 'x'.repeat(60), 'split');
    symlinkSync(deep, join(dir, 'far'));
    const archive = await buffer((await packFolder(dir)).stream);
    const out = mkdtempSync(join(tmpdir(), 'wafer-unpack-'));
    try {
      execFileSync('tar', ['-xzf', '-', '-C', out], { input: archive });
      execFileSync('diff', ['-r', '--no-dereference', dir, out]);
    } finally {
      rmSync(out, { recursive: true });
    }
  });

  it('leaves out node_modules, version control, caches and what .waferignore names', async () => {
    for (const path of ['index.mjs', 'node_modules/x/y.js', '.git/HEAD', 'lib/__pycache__/m.pyc', '.DS_Store'])
      put(path);
    for (const path of ['a.log', 'keep.log', 'lib/b.log', 'build/out', 'lib/build/out', 'docs/a/b/c.md', 'docs/x.md'])
      put(path);
    put('.waferignore', '# comment\n*.log\n!keep.log\n/build/\ndocs/**/c.md\r\n\n');
    expect((await names()).filter((name) => !name.endsWith('/'))).toEqual([
      'docs/x.md',
      'index.mjs',
      'keep.log',
      'lib/build/out',
    ]);
  });

  it('refuses a pipe, naming it', async () => {
    execFileSync('mkfifo', [join(dir, 'pipe')]);
    await expect(packFolder(dir)).rejects.toMatchObject({ code: 'invalid_archive', details: { entry: 'pipe' } });
  });

  it('refuses a folder that is not there, and a file', async () => {
    put('file');
    await expect(packFolder(join(dir, 'nope'))).rejects.toMatchObject({ code: 'invalid_request' });
    await expect(packFolder(join(dir, 'file'))).rejects.toMatchObject({ code: 'invalid_request' });
  });

  it('fails the stream when a file changes its size after the walk', async () => {
    put('grows', 'a');
    const { stream } = await packFolder(dir);
    writeFileSync(join(dir, 'grows'), 'a'.repeat(1000));
    await expect(buffer(stream)).rejects.toThrow('grows changed its size');
  });

  it('packs an empty folder as an empty archive', async () => {
    expect((await packFolder(dir)).files).toBe(0);
    expect(await names()).toEqual(['']);
  });
});

describe('readFolderConfig', () => {
  it('gives the text of wafer.json, or null', async () => {
    expect(await readFolderConfig(dir)).toBeNull();
    put('wafer.json', '{ "name": "x" } // text');
    expect(await readFolderConfig(dir)).toBe('{ "name": "x" } // text');
  });
});

describe('parseIgnoreFile', () => {
  it.each([
    ['foo', 'foo', false, true],
    ['foo', 'a/b/foo', false, true],
    ['foo', 'food', false, false],
    ['/foo', 'a/foo', false, false],
    ['foo/', 'foo', false, false],
    ['foo/', 'a/foo', true, true],
    ['a/*/c', 'a/b/c', false, true],
    ['a/*/c', 'a/b/b/c', false, false],
    ['a/**', 'a/b/c', false, true],
    ['a/**', 'a', true, false],
    ['**/c', 'c', false, true],
    ['?.js', 'é.js', false, true],
    ['a+(b).js', 'a+(b).js', false, true],
    ['!x\nx', 'x', false, true],
    ['x\n!x', 'x', false, false],
  ])('%j on %s is %s -> %s', (text, path, isDirectory, expected) => {
    expect(parseIgnoreFile(text)(path, isDirectory)).toBe(expected);
  });
});
