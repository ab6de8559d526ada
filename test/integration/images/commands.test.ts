/** tree, prune, df, import and export of the image service, over a real store. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ImageLab, openImageLab } from '../../helpers/image-service.ts';
import { makeTar, streamOf } from '../../helpers/make-tar.ts';
import { rawPax, rawTar } from '../../helpers/raw-tar.ts';

const run = promisify(execFile);
const signal = new AbortController().signal;
const BASE = { 'etc/': null, 'etc/os': 'debian' };
const options = { changes: [], signal };

let dir: string;
let lab: ImageLab;
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'wafer-commands-'));
  lab = await openImageLab(join(dir, 'store'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const layersOnDisk = () => readdirSync(join(dir, 'store/layers'));

describe('tree', () => {
  it('has every layer once at each place, parents first, with the images that end there', async () => {
    const base = await lab.put('node24', BASE);
    const app = await lab.put('app:1', BASE, { a: 'a' });
    await lab.put('other:1', { b: 'b' }, BASE);
    const { layers, images } = await lab.service.tree();
    expect(layers.map(({ createdBy, images: uses }) => [createdBy, uses])).toEqual([
      ['make etc/', 2],
      ['make a', 1],
      ['make b', 1],
      ['make etc/', 1],
    ]);
    expect(layers.map(({ parent }) => layers.findIndex(({ chainId }) => chainId === parent))).toEqual([-1, 0, -1, 2]);
    const [first, second] = images;
    expect(first).toMatchObject({ digest: base.digest, top: layers[0]!.chainId, ownBytes: 0 });
    expect(second).toMatchObject({ digest: app.digest, top: layers[1]!.chainId, ownBytes: layers[1]!.bytes });
  });

  it('names the versions of functions that are an image', async () => {
    const { digest } = await lab.put('functions/hello@0123456789ab', BASE);
    lab.versions.push(
      { functionName: 'hello', number: 4, image: digest },
      { functionName: 'hello', number: 2, image: digest },
      { functionName: 'else', number: 1, image: `sha256:${'0'.repeat(64)}` },
    );
    const { images } = await lab.service.tree();
    expect(images[0]!.functions).toEqual([
      { name: 'hello', version: 2 },
      { name: 'hello', version: 4 },
    ]);
  });

  it('of one image has only what stands on the same lowest layer, and the build cache never', async () => {
    await lab.put('app:1', BASE, { a: 'a' });
    await lab.put('app:2', BASE, { b: 'b' });
    await lab.put('other:1', { c: 'c' });
    await lab.put('build-cache/0123', BASE);
    const { images } = await lab.service.tree('app:1');
    expect(images.map(({ tags }) => tags)).toEqual([['app:1'], ['app:2']]);
    expect((await lab.service.tree()).images).toHaveLength(3);
  });
});

describe('the build cache', () => {
  beforeEach(async () => {
    await lab.put('app:1', BASE);
    await lab.put('build-cache/0123', BASE);
    await lab.put('build-cache/4567', { step: 'x'.repeat(5000) });
    await lab.put('build-mount/89ab', { cache: 'y'.repeat(5000) });
    await lab.put('build/0123456789ab', { failed: 'z'.repeat(5000) });
  });

  it('is a line of its own in df, with what only it has', async () => {
    const { images, each, buildCache } = await lab.service.usage();
    expect([images, each.map(({ tags }) => tags)]).toEqual([2, [['app:1'], ['build/0123456789ab']]]);
    expect(buildCache.entries).toBe(3);
    expect(buildCache.bytes - buildCache.onlyBytes).toBe(each[0]!.bytes);
  });

  it('stays when images are pruned; what nobody named goes, at once', async () => {
    const pruned = await lab.service.prune({ all: false, buildCache: false });
    expect(pruned).toMatchObject({ untagged: ['build/0123456789ab'], images: 1, layers: 1 });
    expect(pruned.bytes).toBeGreaterThan(0);
    expect((await lab.service.usage()).buildCache.entries).toBe(3);
  });

  it('goes when it is named, and the images that have its layers stay whole', async () => {
    const { untagged, layers } = await lab.service.prune({ all: false, buildCache: true });
    expect(untagged.toSorted()).toEqual([
      'build-cache/0123',
      'build-cache/4567',
      'build-mount/89ab',
      'build/0123456789ab',
    ]);
    expect([layers, layersOnDisk().length]).toEqual([3, 1]);
    expect(await text(await lab.store.exportLayer((await lab.store.get('app:1')).layers[0]!.diffId))).toContain(
      'debian',
    );
  });

  it('goes with everything else, except what is the platform’s own', async () => {
    await lab.put('node24', { base: 'b' });
    await lab.put('functions/f@0123456789ab', { code: 'c' });
    await lab.service.prune({ all: true, buildCache: false });
    expect((await lab.store.list()).flatMap(({ tags }) => tags)).toEqual(['node24', 'functions/f@0123456789ab']);
  });

  it('of a build that runs is not taken from it', async () => {
    const [layer] = (await lab.store.get('build-cache/4567')).layers;
    const lease = lab.store.lease([layer!.diffId]);
    await lab.service.prune({ all: false, buildCache: true });
    expect(await lab.store.layer(layer!.diffId)).not.toBeNull();
    lease.release();
    await lab.service.prune({ all: false, buildCache: false });
    expect(await lab.store.layer(layer!.diffId)).toBeNull();
  });
});

describe('import', () => {
  it('makes one layer of a root file system, with a config, a comment and a name', async () => {
    const image = await lab.service.importRoot(streamOf(makeTar(BASE)), {
      ...options,
      tag: 'root:1',
      message: 'from tape',
      changes: ['CMD ["/bin/sh"]', 'ENV A=1', 'ENV B=$A/2', 'WORKDIR /srv', 'LABEL x=y'],
    });
    expect(image).toMatchObject({
      tags: ['root:1'],
      layers: [{ parent: null }],
      config: { Cmd: ['/bin/sh'], Env: ['A=1', 'B=1/2'], WorkingDir: '/srv', Labels: { x: 'y' } },
      history: [{ createdBy: 'wafer image import', comment: 'from tape' }],
    });
  });

  it('takes gzip too, and gives the same image for the same root', async () => {
    const tar = makeTar(BASE);
    const plain = await lab.service.importRoot(streamOf(tar), options);
    const packed = await lab.service.importRoot(streamOf(gzipSync(tar), 1), options);
    expect(packed.digest).toBe(plain.digest);
    expect(plain.tags).toEqual([`build/${plain.digest.slice(7, 19)}`]);
  });

  it.each([
    ['a web page', Buffer.from('<!doctype html>'.repeat(100)), 'invalid_archive'],
    ['nothing', Buffer.alloc(0), 'invalid_archive'],
    ['half a gzip', gzipSync(makeTar({ a: Buffer.alloc(100_000, 1) })).subarray(0, 100), 'invalid_archive'],
  ])('refuses %s and leaves nothing', async (_what, bytes, code) => {
    await expect(lab.service.importRoot(streamOf(bytes), options)).rejects.toMatchObject({ code });
    expect([await lab.store.list(), layersOnDisk()]).toEqual([[], []]);
  });

  it.each([
    [{ changes: ['RUN id'] }, 'invalid_dockerfile', '--change 1:1:1: RUN: it does not change a config.'],
    [{ changes: ['CMD x', 'FRM x'] }, 'invalid_dockerfile', '--change 2:1:1: there is no instruction "FRM".'],
    [{ changes: ['CMD x\nUSER y'] }, 'invalid_dockerfile', '--change 1:2:1: there is more than one instruction.'],
    [{ tag: 'node24' }, 'conflict', 'is a name that the platform gives'],
    [{ tag: 'A B' }, 'invalid_name', 'can not be the name of an image'],
  ])('refuses %j before it reads the tar', async (wish, code, words) => {
    const tar = streamOf(makeTar(BASE));
    await expect(lab.service.importRoot(tar, { ...options, ...wish })).rejects.toMatchObject({
      code,
      message: expect.stringContaining(words),
    });
    expect([tar.destroyed, layersOnDisk()]).toEqual([true, []]);
  });

  it('ends with its caller, and leaves nothing', async () => {
    const stop = new AbortController();
    const root = new PassThrough();
    root.write(makeTar({ a: Buffer.alloc(100_000) }).subarray(0, 90_000));
    const work = lab.service.importRoot(root, { ...options, signal: stop.signal });
    setImmediate(() => stop.abort(new Error('gone')));
    await expect(work).rejects.toThrow('gone');
    expect([await lab.store.list(), layersOnDisk(), readdirSync(join(dir, 'store/tmp'))]).toEqual([[], [], []]);
  });
});

describe('export', () => {
  const exported = async (name: string) => buffer((await lab.service.exportRoot(name)).stream);
  const unpack = async (tar: Buffer) => {
    const at = mkdtempSync(join(dir, 'out-'));
    writeFileSync(join(dir, 'out.tar'), tar);
    await run('tar', ['-xp', '--no-same-owner', '-f', join(dir, 'out.tar'), '-C', at]);
    return at;
  };
  const listing = async (at: string) =>
    (await run('find', ['.', '-mindepth', '1', '-printf', '%p %y %m %n %l %s\n'], { cwd: at })).stdout
      .split('\n')
      .map((line) => line.replace(/^(\S+ d \d+) .*/, '$1'))
      .filter((line) => line !== '')
      .sort();

  it('gives the layers as one: whiteouts, opaque folders, and what took another’s place', async () => {
    const link = { name: 'hard', type: '1', link: 'file' };
    const lower = rawTar([
      { name: 'file', body: 'one' },
      link,
      { name: 'gone', body: 'x' },
      { name: 'dir/', type: '5', mode: 0o700 },
      { name: 'dir/a', body: 'a' },
      { name: 'opaque/', type: '5', mode: 0o755 },
      { name: 'opaque/old', body: 'old' },
      { name: 'was-dir/', type: '5', mode: 0o755 },
      { name: 'was-dir/child', body: 'c' },
      { name: 'was-file', body: 'f' },
      { name: 'sym', type: '2', link: 'file' },
    ]);
    const upper = rawTar([
      { name: 'opaque/', type: '5', mode: 0o711 },
      { name: 'opaque/.wh..wh..opq' },
      { name: 'opaque/new', body: 'new' },
      { name: '.wh.gone' },
      { name: 'was-dir', body: 'now a file' },
      { name: 'was-file/', type: '5', mode: 0o755 },
      { name: 'was-file/in', body: 'in' },
      { name: 'file', body: 'two!' },
      { name: 'dir/', type: '5', mode: 0o750 },
    ]);
    const layers = [];
    for (const tar of [lower, upper]) layers.push((await lab.store.addLayer(streamOf(tar), { createdBy: 'x' })).diffId);
    await lab.store.putImage({ layers, config: {}, tag: 'app:1' });
    expect(await listing(await unpack(await exported('app:1')))).toEqual(
      [
        './dir d 750',
        './dir/a f 644 1  1',
        './file f 644 1  4',
        // Its other name is another file now: it keeps what it was.
        './hard f 644 1  3',
        './opaque d 711',
        './opaque/new f 644 1  3',
        './sym l 777 1 file 4',
        './was-dir f 644 1  10',
        './was-file d 755',
        './was-file/in f 644 1  2',
      ].sort(),
    );
  });

  it('keeps owners, times, hard links and extended attributes', async () => {
    const tar = rawTar([
      { name: 'a', body: 'a', uid: 1234, mtime: 1_600_000_000, mode: 0o4755 },
      { name: 'b', type: '1', link: 'a' },
      rawPax({ 'SCHILY.xattr.user.note': 'kept' }),
      { name: 'c', body: 'c' },
      { name: 'twice', body: 'first' },
      { name: 'twice', body: 'last' },
    ]);
    const { diffId } = await lab.store.addLayer(streamOf(tar), { createdBy: 'x' });
    await lab.store.putImage({ layers: [diffId], config: {}, tag: 'app:1' });
    const out = await exported('app:1');
    writeFileSync(join(dir, 'out.tar'), out);
    const { stdout } = await run('tar', ['-tv', '--numeric-owner', '--full-time', '--utc', '-f', join(dir, 'out.tar')]);
    expect(stdout).toMatch(/^-rwsr-xr-x 1234\/1000 +1 2020-09-13 12:26:40 a$/m);
    expect(stdout).toContain(' b link to a\n');
    expect(out.toString('latin1')).toContain('SCHILY.xattr.user.note=kept');
    const { stdout: twice } = await run('tar', ['-xO', '-f', join(dir, 'out.tar'), 'twice']);
    expect(twice).toBe('last');
  });

  it('imported again is an image with the same root', async () => {
    await lab.put('app:1', BASE, { 'etc/app': 'x' }, { 'etc/.wh.os': '' });
    const first = await exported('app:1');
    await lab.service.importRoot(streamOf(first), { ...options, tag: 'flat:1' });
    expect(await exported('flat:1')).toEqual(first);
    expect((await lab.store.get('flat:1')).layers).toHaveLength(1);
  });

  it('holds the image while it is read', async () => {
    await lab.put('app:1', { big: Buffer.alloc(3_000_000, 7) });
    const { stream } = await lab.service.exportRoot('app:1');
    await lab.service.remove('app:1');
    expect((await buffer(stream)).length).toBeGreaterThan(3_000_000);
    await lab.service.prune({ all: false, buildCache: false });
    expect(layersOnDisk()).toEqual([]);
  });
});
