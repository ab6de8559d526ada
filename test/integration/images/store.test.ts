import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { chainIds, GRACE_MS, openImageStore } from '../../../services/core/images/index.ts';
import type { ImageStore, LayerInfo, LayerUnpacker, Lease } from '../../../services/core/images/types.ts';
import { makeTar, streamOf } from '../../helpers/make-tar.ts';
import { createTarUnpacker } from '../../helpers/tar-unpacker.ts';

let dir: string;
let store: ImageStore;
let elapsed = 0;
const clock = { now: () => 1_000 + elapsed, monotonic: () => elapsed };
const warnings: string[] = [];
const log = { warn: (_: object, text: string) => warnings.push(text), info: () => undefined };
const open = (unpacker: LayerUnpacker = createTarUnpacker(join(dir, 'layers'))) =>
  openImageStore({ dir, unpacker, clock, log });

beforeEach(async () => {
  dir = join(mkdtempSync(join(tmpdir(), 'wafer-store-')), 'store');
  elapsed = 0;
  warnings.length = 0;
  store = await open();
});
afterEach(() => rmSync(join(dir, '..'), { recursive: true, force: true }));

const sha256 = (bytes: Buffer | string) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
const layer = (name: string, on = store) =>
  on.addLayer(streamOf(makeTar({ [`${name}.txt`]: name.repeat(1000) })), { createdBy: name });
const passGrace = () => {
  elapsed += GRACE_MS + 1;
};
const files = (below: string) => readdirSync(join(dir, below)).sort();
const everything = () => ['blobs/sha256', 'layers', 'meta', 'tmp'].flatMap((below) => files(below));

describe('addLayer', () => {
  it('stores the blob, unpacks it and records what it is', async () => {
    const tar = makeTar({ 'd/': null, 'd/hello.txt': 'hello' });
    const info = await store.addLayer(streamOf(tar, 100), { createdBy: 'test' });
    expect(info).toMatchObject({ diffId: sha256(tar), tarBytes: tar.length, createdBy: 'test', createdAt: 1000 });
    const blob = readFileSync(join(dir, 'blobs/sha256', info.blob.digest.slice(7)));
    expect(sha256(blob)).toBe(info.blob.digest);
    expect(blob.length).toBe(info.blob.size);
    expect(gunzipSync(blob).equals(tar)).toBe(true);
    expect(readFileSync(join(dir, 'layers', info.diffId.slice(7), 'd/hello.txt'), 'utf8')).toBe('hello');
    expect(await store.layer(info.diffId)).toEqual(info);
    expect(files('tmp')).toEqual([]);
    expect(statSync(dir).mode & 0o777).toBe(0o700);
  });

  it('adds the same content once, also when it comes at the same time', async () => {
    const all = await Promise.all(['x', 'x', 'x', 'y'].map((name) => layer(name)));
    expect(new Set(all.map((one) => one.diffId)).size).toBe(2);
    expect(await store.usage()).toMatchObject({ layers: 2 });
    expect(await layer('x')).toEqual(all[0]);
    expect(files('layers')).toHaveLength(2);
    expect(files('tmp')).toEqual([]);
  });

  it('gives the same blob digest in every store', async () => {
    const first = await layer('same');
    const other = mkdtempSync(join(tmpdir(), 'wafer-store-'));
    try {
      const second = await openImageStore({ dir: other, unpacker: createTarUnpacker(join(other, 'layers')), log });
      expect((await layer('same', second)).blob).toEqual(first.blob);
    } finally {
      rmSync(other, { recursive: true });
    }
  });

  it('refuses content that is not the expected one, and nothing stays', async () => {
    const before = everything();
    const expectedDiffId = sha256('something else');
    await expect(
      store.addLayer(streamOf(makeTar({ a: 'a' })), { createdBy: 't', expectedDiffId }),
    ).rejects.toMatchObject({ code: 'digest_mismatch' });
    expect(everything()).toEqual(before);
  });

  it('does not read a layer that it has, and destroys the stream', async () => {
    const { diffId } = await layer('x');
    let reads = 0;
    const stream = new Readable({ read: () => void reads++ });
    const info = await store.addLayer(stream, { createdBy: 't', expectedDiffId: diffId });
    expect([info.diffId, reads, stream.destroyed]).toEqual([diffId, 0, true]);
  });

  it('leaves nothing when the stream fails half-way', async () => {
    const tar = makeTar({ big: Buffer.alloc(500_000, 7) });
    const broken = Readable.from(
      (function* () {
        yield tar.subarray(0, 300_000);
        throw new Error('connection lost');
      })(),
    );
    await expect(store.addLayer(broken, { createdBy: 't' })).rejects.toThrow('connection lost');
    expect(everything()).toEqual([]);
  });

  it('leaves nothing when unpacking fails', async () => {
    const failing = await open({
      unpack: () => Promise.reject(new Error('engine said no')),
      remove: () => Promise.resolve(),
    });
    await expect(layer('x', failing)).rejects.toMatchObject({ code: 'engine_failed' });
    expect(everything()).toEqual([]);
    expect((await layer('x')).createdBy).toBe('x');
  });

  it('keeps the blob of a tagged image when making its lost directory again fails', async () => {
    const info = await layer('x');
    await store.putImage({ layers: [info.diffId], config: {}, tag: 'x' });
    rmSync(join(dir, 'layers', info.diffId.slice(7)), { recursive: true });
    const failing = await open({
      unpack: () => Promise.reject(new Error('no')),
      remove: () => Promise.resolve(),
    });
    await expect(layer('x', failing)).rejects.toMatchObject({ code: 'engine_failed' });
    expect(files('blobs/sha256')).toContain(info.blob.digest.slice(7));
  });

  it.each(['sha256:../../etc/passwd', 'sha1:abc', `sha256:${'A'.repeat(64)}`, `sha256:${'a'.repeat(63)}`, ''])(
    'refuses the digest %j before it is used as a path',
    async (digest) => {
      await expect(store.layer(digest)).rejects.toMatchObject({ code: 'invalid_request' });
      await expect(store.readBlob(digest)).rejects.toMatchObject({ code: 'invalid_request' });
      const stream = streamOf(makeTar({}));
      const adding = store.addLayer(stream, { createdBy: 't', expectedDiffId: digest });
      await expect(adding).rejects.toMatchObject({ code: 'invalid_request' });
      expect(stream.destroyed).toBe(true);
    },
  );
});

describe('putImage', () => {
  it('writes an OCI image with its history, and finds it by tag and digest', async () => {
    const layers = [await layer('base'), await layer('code')];
    const config = { Env: ['A=1'], Labels: { z: '1', a: '2' }, WorkingDir: '/function' };
    const image = await store.putImage({ layers: layers.map((one) => one.diffId), config, tag: 'hello:1' });
    expect(image.layers).toEqual(layers);
    expect(image.tags).toEqual(['hello:1']);
    expect(image.config).toMatchObject({
      os: 'linux',
      config,
      history: [{ created_by: 'base' }, { created_by: 'code' }],
    });
    expect(await store.get('hello:1')).toEqual(image);
    expect(await store.get(image.digest)).toEqual(image);
    expect(store.layerNames(image)).toEqual(layers.map((one) => one.diffId.slice(7)));
    const reopened = await open();
    expect(await reopened.get('hello:1')).toEqual(image);
    expect(warnings).toEqual([]);
  });

  it('gives the same digest for the same inputs', async () => {
    const { diffId } = await layer('x');
    const put = (Labels: Record<string, string>) => store.putImage({ layers: [diffId], config: { Labels } });
    const first = await put({ a: '1', b: '2' });
    elapsed += 5000;
    expect((await put({ b: '2', a: '1' })).digest).toBe(first.digest);
  });

  it('refuses a layer that is not there, and bad tags', async () => {
    const missing = sha256('missing');
    await expect(store.putImage({ layers: [missing], config: {} })).rejects.toMatchObject({ code: 'not_found' });
    for (const tag of ['', '../x', 'a b', '-x', 'sha256:abc', 'x'.repeat(513)]) {
      await expect(store.putImage({ layers: [], config: {}, tag })).rejects.toMatchObject({ code: 'invalid_name' });
    }
    expect(await store.list()).toEqual([]);
  });

  it('moves a tag, adds one, and takes one away', async () => {
    const one = await store.putImage({ layers: [(await layer('1')).diffId], config: {}, tag: 'a' });
    const two = await store.putImage({ layers: [(await layer('2')).diffId], config: {}, tag: 'a' });
    expect((await store.get('a')).digest).toBe(two.digest);
    await store.tag(one.digest, 'b');
    await store.tag('a', 'c');
    expect((await store.get(two.digest)).tags).toEqual(['a', 'c']);
    await store.untag('a');
    await store.untag('a');
    expect(await store.find('a')).toBeNull();
    await expect(store.get('a')).rejects.toMatchObject({ code: 'image_not_found' });
    expect((await store.list()).map((image) => image.tags)).toEqual([['b'], ['c']]);
  });

  it('keeps every tag when many are written at once', async () => {
    const { diffId } = await layer('x');
    const tags = Array.from({ length: 20 }, (_, index) => `t${index}`);
    await Promise.all(tags.map((tag) => store.putImage({ layers: [diffId], config: { Env: [tag] }, tag })));
    expect((await (await open()).list()).flatMap((image) => image.tags).sort()).toEqual(tags.sort());
  });

  it('names a layer once when an image has it twice, at its upper place', async () => {
    const [a, b] = [await layer('a'), await layer('b')];
    const image = await store.putImage({ layers: [a.diffId, b.diffId, a.diffId], config: {} });
    expect(store.layerNames(image)).toEqual([b.diffId.slice(7), a.diffId.slice(7)]);
  });
});

describe('reading', () => {
  it('gives blobs and layer tars whose digest is right', async () => {
    const tar = makeTar({ a: 'a' });
    const info = await store.addLayer(streamOf(tar), { createdBy: 't' });
    expect(sha256(await buffer(await store.readBlob(info.blob.digest)))).toBe(info.blob.digest);
    expect((await buffer(await store.exportLayer(info.diffId))).equals(tar)).toBe(true);
    await expect(store.readBlob(sha256('no'))).rejects.toMatchObject({ code: 'not_found' });
    await expect(store.exportLayer(sha256('no'))).rejects.toMatchObject({ code: 'not_found' });
  });

  it('fails a read when a bit of the blob has flipped', async () => {
    const info = await layer('x');
    const path = join(dir, 'blobs/sha256', info.blob.digest.slice(7));
    const bytes = readFileSync(path);
    bytes[bytes.length - 12]! ^= 1;
    writeFileSync(path, bytes);
    await expect(store.readBlob(info.blob.digest).then(buffer)).rejects.toMatchObject({ code: 'digest_mismatch' });
    await expect(store.exportLayer(info.diffId).then(buffer)).rejects.toThrow();
  });

  it('refuses a manifest or config that was changed on disk', async () => {
    const image = await store.putImage({ layers: [(await layer('x')).diffId], config: {}, tag: 'x' });
    const path = join(dir, 'blobs/sha256', image.digest.slice(7));
    writeFileSync(path, readFileSync(path, 'utf8').replace('"size":', '"size" :'));
    const reopened = await open();
    await expect(reopened.get('x')).rejects.toMatchObject({ code: 'digest_mismatch' });
    expect(await reopened.list()).toEqual([]);
    await expect(reopened.collectGarbage()).rejects.toMatchObject({ code: 'digest_mismatch' });
    expect(warnings).toContain('an image in the store is damaged');
  });

  it('refuses to open with a damaged index', async () => {
    writeFileSync(join(dir, 'index.json'), '{"manifests": [{"digest": "sha256:../x"}]}');
    await expect(open()).rejects.toMatchObject({ code: 'digest_mismatch' });
  });

  it('restores a lost record and a lost directory of a tagged image when it opens', async () => {
    const [one, two] = [await layer('one'), await layer('two')];
    const image = await store.putImage({ layers: [one.diffId, two.diffId], config: {}, tag: 'x' });
    rmSync(join(dir, 'meta', `${one.diffId.slice(7)}.json`));
    rmSync(join(dir, 'layers', two.diffId.slice(7)), { recursive: true });
    await expect(
      (await open({ unpack: () => Promise.reject(new Error('no')), remove: async () => undefined })).get('x'),
    ).rejects.toMatchObject({ code: 'digest_mismatch' });
    expect(await (await open()).get('x')).toEqual(image);
    expect(files(`layers/${two.diffId.slice(7)}`)).toEqual(['two.txt']);
  });
});

describe('collectGarbage', () => {
  const image = async (names: string[], tag?: string) => {
    const layers: LayerInfo[] = [];
    for (const name of names) layers.push(await layer(name));
    return store.putImage({
      layers: layers.map((one) => one.diffId),
      config: {},
      ...(tag === undefined ? {} : { tag }),
    });
  };

  it('removes untagged images and their layers, and keeps what a tag needs', async () => {
    const kept = await image(['base', 'code1'], 'v1');
    const gone = await image(['base', 'code2'], 'v2');
    const goneCode = gone.layers[1]!;
    await store.untag('v2');
    passGrace();
    const sizeOf = (digest: string) => statSync(join(dir, 'blobs/sha256', digest.slice(7))).size;
    const before = (await store.usage()).blobsBytes;
    expect(sizeOf(goneCode.blob.digest)).toBe(goneCode.blob.size);
    const done = await store.collectGarbage();
    expect(done).toMatchObject({ images: 1, layers: 1 });
    expect((await store.usage()).blobsBytes).toBe(before - done.bytes);
    expect(await store.find(gone.digest)).toBeNull();
    expect(await store.layer(goneCode.diffId)).toBeNull();
    expect(files('layers')).toEqual(kept.layers.map((one) => one.diffId.slice(7)).sort());
    expect(await (await open()).get('v1')).toEqual(kept);
    expect(await store.usage()).toMatchObject({ images: 1, layers: 2 });
    expect(await store.collectGarbage()).toEqual({ images: 0, layers: 0, bytes: 0 });
  });

  it('keeps a leased image and a leased layer until the lease is released', async () => {
    const leased = await image(['a', 'b']);
    const single = await layer('c');
    const leases = [store.lease([leased.digest]), store.lease([leased.digest]), store.lease([single.diffId])];
    passGrace();
    expect(await store.collectGarbage()).toEqual({ images: 0, layers: 0, bytes: 0 });
    leases[0]!.release();
    leases[0]!.release();
    expect(await store.collectGarbage()).toMatchObject({ images: 0 });
    expect((await store.get(leased.digest)).layers).toHaveLength(2);
    leases[1]!.release();
    expect(await store.collectGarbage()).toMatchObject({ images: 1, layers: 2 });
    leases[2]!.release();
    expect(await store.collectGarbage()).toMatchObject({ images: 0, layers: 1 });
    expect(everything()).toEqual([]);
  });

  it('keeps what a lease by tag named when the tag moves', async () => {
    const old = await image(['old'], 'live');
    const lease = store.lease(['live']);
    await image(['new'], 'live');
    passGrace();
    await store.collectGarbage();
    expect((await store.get(old.digest)).tags).toEqual([]);
    lease.release();
    expect(await store.collectGarbage()).toMatchObject({ images: 1, layers: 1 });
    expect(() => store.lease(['nope'])).toThrowError(/no image "nope"/);
  });

  it('honours a lease that is taken while it runs', async () => {
    const layers = [await layer('a'), await layer('b'), await layer('c')];
    let removed = 0;
    let lease: Lease | undefined;
    const plain = createTarUnpacker(join(dir, 'layers'));
    const other = await open({
      unpack: plain.unpack,
      async remove(name) {
        removed += 1;
        lease ??= other.lease(layers.map((one) => one.diffId));
        await plain.remove(name);
      },
    });
    expect(await other.collectGarbage()).toMatchObject({ layers: 1 });
    expect(removed).toBe(1);
    lease?.release();
    expect(await other.collectGarbage()).toMatchObject({ layers: 2 });
  });

  it('keeps what was added a moment ago, and takes it when the grace time is over', async () => {
    const { diffId } = await layer('fresh');
    elapsed += GRACE_MS - 1;
    expect(await store.collectGarbage()).toMatchObject({ layers: 0 });
    await store.addLayer(new Readable({ read: () => undefined }), { createdBy: 't', expectedDiffId: diffId });
    elapsed += GRACE_MS - 1;
    expect(await store.collectGarbage()).toMatchObject({ layers: 0 });
    elapsed += 2;
    expect(await store.collectGarbage()).toMatchObject({ layers: 1 });
  });

  it('takes what a crash left behind', async () => {
    const hex = 'a'.repeat(64);
    mkdirSync(join(dir, 'layers', hex));
    mkdirSync(join(dir, 'layers', 'tmp-123'));
    writeFileSync(join(dir, 'blobs/sha256', hex), 'half');
    writeFileSync(join(dir, 'meta', `${'b'.repeat(64)}.json`), '{');
    writeFileSync(join(dir, 'tmp', 'x'), 'half');
    await store.collectGarbage();
    expect(everything()).toEqual([]);
  });

  it('loses nothing when deploys and collections run at the same time', async () => {
    let isDone = false;
    // No grace at all: only leases, work in progress and tags protect.
    const rush = await openImageStore({
      dir,
      unpacker: createTarUnpacker(join(dir, 'layers')),
      log,
      clock: { now: () => 1, monotonic: () => (elapsed += GRACE_MS * 0.6) },
    });
    const deploy = async (number: number) => {
      for (let round = 0; round < 6; round++) {
        const name = `layer${(number + round) % 4}`;
        for (;;) {
          const info = await layer(name, rush);
          const lease = rush.lease([info.diffId]);
          try {
            // The grace time may have ended before the lease; then the layer is made again.
            if ((await rush.layer(info.diffId)) === null) continue;
            await rush.putImage({ layers: [info.diffId], config: { Env: [`N=${number}`] }, tag: `f${number}` });
          } finally {
            lease.release();
          }
          break;
        }
        expect((await rush.get(`f${number}`)).layers).toHaveLength(1);
        if (round % 2 === 1 && round < 5) await rush.untag(`f${number}`);
      }
    };
    const collecting = (async () => {
      while (!isDone) await rush.collectGarbage();
    })();
    await Promise.all([0, 1, 2, 3, 4].map(deploy));
    isDone = true;
    await collecting;
    await rush.collectGarbage();
    const images = await (await open()).list();
    expect(images.flatMap((one) => one.tags).sort()).toEqual(['f0', 'f1', 'f2', 'f3', 'f4']);
    const names = new Set(images.flatMap((one) => store.layerNames(one)));
    expect(files('layers')).toEqual([...names].sort());
    expect(warnings).toEqual([]);
  });
});

describe('chainIds', () => {
  it('chains as the OCI specification says', () => {
    const [a, b] = [sha256('a'), sha256('b')];
    expect(chainIds([a, b])).toEqual([a, sha256(`${a} ${b}`)]);
    expect(chainIds([])).toEqual([]);
  });
});

describe('skopeo', () => {
  it('reads the store as an OCI layout and copies an image out of it', async () => {
    const image = await store.putImage({
      layers: [(await layer('base')).diffId, (await layer('code')).diffId],
      config: { Env: ['A=1'], Cmd: ['run'], Labels: { made: 'here' } },
      tag: 'hello',
      annotations: { note: 'x' },
    });
    const skopeo = (...args: string[]) => execFileSync('skopeo', args, { encoding: 'utf8' });
    const seen = JSON.parse(skopeo('inspect', `oci:${dir}:hello`));
    expect(seen).toMatchObject({ Digest: image.digest, Labels: { made: 'here' }, Env: ['A=1'] });
    expect(seen.Layers).toEqual(image.layers.map((one) => one.blob.digest));
    const copy = join(dir, '..', 'copy');
    skopeo('--insecure-policy', 'copy', '--quiet', `oci:${dir}:hello`, `oci:${copy}:hello`);
    expect(JSON.parse(skopeo('inspect', `oci:${copy}:hello`)).Digest).toBe(image.digest);
  });
});
