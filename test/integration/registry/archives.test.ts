/** Archives: what we save skopeo reads with the same digests, what skopeo saves we read, and hostile ones leave nothing. */
import { randomBytes } from 'node:crypto';
import {
  createReadStream,
  createWriteStream,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { tarEnd, tarHeader } from '../../../services/core/functions/source/tar-writer.ts';
import { createImageService, type ImageService, openImageStore } from '../../../services/core/images/index.ts';
import { createRegistryClient } from '../../../services/core/images/registry/client.ts';
import { createImageNames } from '../../../services/core/images/reserved.ts';
import { type ImageStore, MEDIA } from '../../../services/core/images/types.ts';
import { skopeo } from '../../helpers/docker-registry.ts';
import { makeTar, streamOf } from '../../helpers/make-tar.ts';
import { type MadeImage, makeImage, sha256, writeLayout } from '../../helpers/oci-layout.ts';
import { createTarUnpacker } from '../../helpers/tar-unpacker.ts';

let dir: string;
let image: MadeImage;
let layout: string;
let store: ImageStore;
let service: ImageService;
let at: string;
let stores = 0;
const transfer = { onEvent: () => {}, signal: new AbortController().signal };
const LIMITS = { entries: 50, bytes: 20_000_000 };

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'wafer-archives-'));
  image = makeImage([{ 'etc/': null, 'etc/a.txt': 'a'.repeat(5000) }, { 'b.bin': randomBytes(700_000) }, { c: 'c' }]);
  layout = writeLayout(join(dir, 'layout'), image);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));
beforeEach(async () => {
  at = join(dir, `store-${stores++}`);
  mkdirSync(join(at, 'loads'), { recursive: true });
  const log = { warn: () => undefined, info: () => undefined };
  store = await openImageStore({ dir: at, unpacker: createTarUnpacker(join(at, 'layers')), log });
  const credentials = {
    get: async () => null,
    set: async () => {},
    remove: async () => false,
    registries: async () => [],
  };
  const client = createRegistryClient({ insecure: [], credentials });
  const names = createImageNames(() => []);
  const versions = async () => [];
  const parts = { store, client, credentials, defaultRegistry: null, names, versions, tmpDir: join(at, 'loads') };
  service = createImageService({ ...parts, archiveLimits: LIMITS });
});

const loadFile = (path: string) => service.load(createReadStream(path), transfer);
const loadBytes = (bytes: Buffer) => service.load(streamOf(bytes), transfer);
const everything = () =>
  ['blobs/sha256', 'layers', 'meta', 'tmp', 'loads'].flatMap((below) => readdirSync(join(at, below))).sort();
const saveTo = async (name: string, format: 'oci-archive' | 'docker-archive', path: string) =>
  pipeline((await service.save(name, format)).stream, createWriteStream(path));

describe('load', () => {
  it('takes an oci-archive of skopeo with all its digests', async () => {
    const path = join(dir, 'oci.tar');
    await skopeo('copy', layout, `oci-archive:${path}:team/app:v1`);
    const [loaded] = await loadFile(path);
    expect(loaded).toMatchObject({ digest: image.digest, tags: ['team/app:v1'] });
    expect(loaded!.layers.map(({ diffId, blob }) => [diffId, blob])).toEqual(
      image.layers.map(({ diffId, digest }) => [diffId, digest]),
    );
    expect(readdirSync(join(at, 'loads'))).toEqual([]);
  });

  it.each([false, true])(
    'takes a docker-archive of skopeo with the same config and layers (gzip: %s)',
    async (isGzip) => {
      const path = join(dir, `docker-${isGzip}.tar`);
      await skopeo('copy', layout, `docker-archive:${path}:registry.example/team/app:v1`);
      const [loaded] = isGzip ? await loadBytes(gzipSync(readFileSync(path))) : await loadFile(path);
      expect(loaded!.tags).toEqual(['registry.example/team/app:v1']);
      expect(loaded!.layers.map(({ diffId }) => diffId)).toEqual(image.layers.map(({ diffId }) => diffId));
      const { Env, Cmd } = loaded!.config;
      expect({ Env, Cmd }).toEqual({ Env: ['A=b'], Cmd: ['/bin/true'] });
      expect(loaded!.history.map(({ createdBy }) => createdBy)).toEqual(['step 1', 'step 2', 'step 3']);
    },
  );

  it('of an image that is there adds nothing, and of its layers in another form shares them', async () => {
    const path = join(dir, 'again.tar');
    await skopeo('copy', layout, `oci-archive:${path}:team/app:v1`);
    await loadFile(path);
    const before = everything();
    await loadFile(path);
    expect(everything()).toEqual(before);
    const docker = join(dir, 'again-docker.tar');
    await skopeo('copy', layout, `docker-archive:${docker}:team/app:v2`);
    await loadFile(docker);
    expect(readdirSync(join(at, 'layers'))).toHaveLength(3);
  });
});

describe('save', () => {
  it.each(['oci-archive', 'docker-archive'] as const)(
    'writes an %s that skopeo reads, and that comes back the same',
    async (format) => {
      const source = join(dir, 'source.tar');
      await skopeo('copy', layout, `oci-archive:${source}:team/app:v1`);
      await loadFile(source);
      const path = join(dir, `saved-${format}.tar`);
      await saveTo('team/app:v1', format, path);
      const seen = JSON.parse(await skopeo('inspect', `${format}:${path}`));
      expect(seen.Env).toEqual(['A=b']);
      const out = join(dir, `out-${format}`);
      await skopeo('copy', `${format}:${path}`, `oci:${out}:v1`);
      const index = JSON.parse(readFileSync(join(out, 'index.json'), 'utf8'));
      if (format === 'oci-archive') expect(index.manifests[0].digest).toBe(image.digest);
      const { digest } = await service.inspect('team/app:v1');
      await service.remove('team/app:v1');
      expect(readdirSync(join(at, 'layers'))).toEqual([]);
      const [loaded] = await loadFile(path);
      expect(loaded!.tags).toEqual(['team/app:v1']);
      if (format === 'oci-archive') expect(loaded!.digest).toBe(digest);
    },
  );

  it('gives the same bytes every time', async () => {
    await service.load(createReadStream(join(dir, 'oci.tar')), transfer);
    for (const format of ['oci-archive', 'docker-archive'] as const) {
      const [one, two] = await Promise.all(
        [1, 2].map(async () => buffer((await service.save('team/app:v1', format)).stream)),
      );
      expect(one!.equals(two!)).toBe(true);
    }
  });
});

const header = (path: string, size: number, kind: 'file' | 'dir' | 'symlink' = 'file', target = '') =>
  tarHeader({ kind, path, mode: 0o644, size, target });
const ociFiles = (made: MadeImage): Record<string, Buffer | string> => ({
  'oci-layout': '{"imageLayoutVersion":"1.0.0"}',
  'index.json': JSON.stringify({
    schemaVersion: 2,
    manifests: [{ mediaType: MEDIA.manifest, digest: made.digest, size: made.manifest.length }],
  }),
  ...Object.fromEntries([...made.blobs].map(([digest, bytes]) => [`blobs/sha256/${digest.slice(7)}`, bytes])),
});

async function expectRefused(bytes: Buffer | Readable, code: string, words: RegExp): Promise<void> {
  const before = everything();
  const run = service.load(Buffer.isBuffer(bytes) ? streamOf(bytes) : bytes, transfer);
  await expect(run).rejects.toMatchObject({ code, message: expect.stringMatching(words) });
  expect(everything()).toEqual(before);
}

describe('hostile archives leave nothing', () => {
  it('I1: names that lead out, and names that are there twice', async () => {
    for (const name of ['../x', '/etc/passwd', 'a/../../x', '..']) {
      await expectRefused(Buffer.concat([header(name, 0), tarEnd()]), 'invalid_archive', /leads out/);
    }
    await expectRefused(Buffer.concat([header('a', 0), header('./a', 0), tarEnd()]), 'invalid_archive', /twice/);
  });

  it('I2: links are followed inside the archive only, and once', async () => {
    const docker = (layer: string) =>
      Buffer.from(JSON.stringify([{ Config: 'c.json', RepoTags: [], Layers: [layer] }]));
    const config = Buffer.from(JSON.stringify({ rootfs: { diff_ids: [image.layers[0]!.diffId] } }));
    const padded = (bytes: Buffer) => Buffer.concat([bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);
    for (const target of ['/etc/passwd', '../../../../etc/passwd', 'l.tar']) {
      const manifest = docker('l.tar');
      const parts = [
        header('manifest.json', manifest.length),
        padded(manifest),
        header('c.json', config.length),
        padded(config),
      ];
      await expectRefused(
        Buffer.concat([...parts, header('l.tar', 0, 'symlink', target), tarEnd()]),
        'invalid_archive',
        /is missing/,
      );
    }
  });

  it('I6: devices and pipes', async () => {
    const block = header('dev', 0);
    for (const flag of ['3', '4', '6', 'S']) {
      block.write(flag, 156);
      block.write('        ', 148);
      block.write(
        `${block
          .reduce((sum, byte) => sum + byte, 0)
          .toString(8)
          .padStart(6, '0')}\0 `,
        148,
      );
      await expectRefused(Buffer.concat([block, tarEnd()]), 'invalid_archive', /neither a file nor a folder/);
    }
  });

  it('I8, I12: damaged, cut off, empty, HTML, a gzip of nothing', async () => {
    const good = makeTar(ociFiles(image));
    await expectRefused(good.subarray(0, good.length - 1024), 'invalid_archive', /cut off/);
    await expectRefused(good.subarray(0, 3000), 'invalid_archive', /cut off/);
    await expectRefused(Buffer.alloc(0), 'invalid_archive', /cut off/);
    await expectRefused(Buffer.from('<html>'.repeat(200)), 'invalid_archive', /no tar|damaged/);
    await expectRefused(gzipSync(good).subarray(0, 5000), 'invalid_archive', /decompressed/);
    const flipped = Buffer.from(good);
    flipped[10] = 0xff;
    await expectRefused(flipped, 'invalid_archive', /damaged/);
    const negative = header('a', 0);
    negative.fill(0xff, 124, 136);
    negative.write('        ', 148);
    negative.write(
      `${negative
        .reduce((sum, byte) => sum + byte, 0)
        .toString(8)
        .padStart(6, '0')}\0 `,
      148,
    );
    await expectRefused(Buffer.concat([negative, tarEnd()]), 'invalid_archive', /impossible/);
  });

  it('I9, I10: too many bytes, too many entries, headers without end', async () => {
    const bomb = gzipSync(Buffer.concat([header('big', 30_000_000), Buffer.alloc(30_000_000), tarEnd()]));
    await expectRefused(bomb, 'invalid_archive', /more than 20000000 bytes/);
    const many = Array.from({ length: 60 }, (_, index) => header(`f${index}`, 0));
    await expectRefused(Buffer.concat([...many, tarEnd()]), 'invalid_archive', /more than 50 entries/);
    const huge = header('x', 100_000_000);
    huge.write('x', 156);
    huge.write('        ', 148);
    huge.write(
      `${huge
        .reduce((sum, byte) => sum + byte, 0)
        .toString(8)
        .padStart(6, '0')}\0 `,
      148,
    );
    await expectRefused(
      Buffer.concat([huge, Buffer.alloc(1_000_000, 0x41)]),
      'invalid_archive',
      /extended header in it has/,
    );
  });

  it('I15, I16: blobs that are not what their names say', async () => {
    const files = ociFiles(image);
    const [layer] = image.layers;
    const name = `blobs/sha256/${layer!.digest.slice(7)}`;
    await expectRefused(makeTar({ ...files, [name]: randomBytes(layer!.size) }), 'digest_mismatch', /should be/);
    await expectRefused(makeTar({ ...files, [name]: randomBytes(layer!.size + 1) }), 'digest_mismatch', /longer/);
    const { [name]: _, ...without } = files;
    await expectRefused(makeTar(without), 'invalid_archive', /is missing/);
    await expectRefused(
      makeTar({ ...files, [`blobs/sha256/${image.digest.slice(7)}`]: '{}' }),
      'invalid_archive',
      /damaged/,
    );
  });

  it('I17, I18, I19: indexes and manifests that are none', async () => {
    const index = (value: unknown) => makeTar({ 'oci-layout': '{}', 'index.json': JSON.stringify(value) });
    for (const value of [null, [], {}, { manifests: 'x' }, { manifests: [{ digest: 'sha256:../x' }] }]) {
      await expectRefused(index(value), 'invalid_archive', /not an index/);
    }
    const wrong = makeImage([{ x: 'y' }], {
      config: (one) => ({ ...one, rootfs: { diff_ids: [image.layers[0]!.diffId] } }),
    });
    await expectRefused(makeTar(ociFiles(wrong)), 'digest_mismatch', /content of a layer/);
    const foreign = makeImage([{ x: 'y' }], { config: (one) => ({ ...one, architecture: 's390x' }) });
    await expectRefused(makeTar(ociFiles(foreign)), 'invalid_image', /s390x/);
    await expectRefused(makeTar({ 'manifest.json': '[]' }), 'invalid_archive', /not a list/);
    await expectRefused(makeTar({ readme: 'x' }), 'invalid_archive', /neither an oci-archive/);
  });

  it('a docker-archive whose layer is another one than its config says', async () => {
    const config = JSON.stringify({
      ...JSON.parse(image.config.toString()),
      rootfs: { diff_ids: [image.layers[0]!.diffId] },
    });
    const manifest = JSON.stringify([{ Config: 'c.json', RepoTags: ['a:b'], Layers: ['l.tar'] }]);
    const files = { 'manifest.json': manifest, 'c.json': config, 'l.tar': makeTar({ other: 'x' }) };
    await expectRefused(makeTar(files), 'digest_mismatch', /should be/);
  });

  it('a docker-archive of which only the first layer is right', async () => {
    const right = makeTar({ right: randomBytes(1000) });
    const diffIds = [sha256(right), image.layers[0]!.diffId];
    const config = JSON.stringify({ ...JSON.parse(image.config.toString()), rootfs: { diff_ids: diffIds } });
    const manifest = JSON.stringify([{ Config: 'c.json', RepoTags: [], Layers: ['1.tar', '2.tar'] }]);
    const files = { 'manifest.json': manifest, 'c.json': config, '1.tar': right, '2.tar': makeTar({ other: 'x' }) };
    await expectRefused(makeTar(files), 'digest_mismatch', /should be/);
  });

  it('a sender that goes away', async () => {
    const good = makeTar(ociFiles(image));
    const broken = Readable.from(
      (function* () {
        yield good.subarray(0, 100_000);
        throw new Error('gone');
      })(),
      { objectMode: false },
    );
    const before = everything();
    await expect(service.load(broken, transfer)).rejects.toThrow('gone');
    expect(everything()).toEqual(before);
  });

  it('a name that belongs to the platform is not given to what is loaded', async () => {
    const annotations = { 'org.opencontainers.image.ref.name': 'functions/x:y' };
    const manifests = [{ mediaType: MEDIA.manifest, digest: image.digest, size: image.manifest.length, annotations }];
    const [loaded] = await loadBytes(makeTar({ ...ociFiles(image), 'index.json': JSON.stringify({ manifests }) }));
    expect(loaded!.tags).toEqual([]);
  });
});
