/** Hostile images in a registry: group I15 to I24 of the hostile inputs. After each refusal the store is as before. */
import { randomBytes } from 'node:crypto';
import * as zlib from 'node:zlib';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { MEDIA } from '../../../services/core/images/types.ts';
import { makeTar } from '../../helpers/make-tar.ts';
import { type MakeOptions, makeImage, sha256 } from '../../helpers/oci-layout.ts';
import { bytesOf } from '../../helpers/scripted-registry.ts';
import {
  expectRefused,
  image,
  other,
  pull,
  registry,
  serve,
  serveManifest,
  store,
  unique,
  unpacked,
  useLab,
} from './hostile-lab.ts';

useLab();

describe('digests and sizes', () => {
  it('I15: a blob with other bytes is refused, and a good one is taken afterwards', async () => {
    const made = image();
    serve(made);
    const [layer] = made.layers;
    registry.on(/blobs/, bytesOf(randomBytes(layer!.size)));
    registry.on(new RegExp(`blobs/${sha256(made.config)}`), bytesOf(made.config));
    await expectRefused('digest_mismatch', /should be sha256/);
    expect(unpacked).toBe(0);
    registry.reset();
    serve(made);
    expect((await pull()).digest).toBe(made.digest);
  });

  it('I15: a config with other bytes is refused', async () => {
    const made = image();
    serve(made);
    registry.on(
      new RegExp(`blobs/${sha256(made.config)}`),
      bytesOf(Buffer.from(made.config.toString().replace('linux', 'lunix'))),
    );
    await expectRefused('digest_mismatch', /should be/);
  });

  it('I15: a manifest that has not the digest it was asked for by is refused', async () => {
    const wanted = image();
    serveManifest(image().manifest, MEDIA.manifest, wanted.digest);
    await expectRefused('digest_mismatch', /the manifest of a@/, () => pull(`a@${wanted.digest}`));
  });

  it.each([
    'sha256:../../../../etc/passwd',
    `sha1:${'a'.repeat(40)}`,
    `sha256:${'A'.repeat(64)}`,
    `sha256:${'a'.repeat(63)}`,
    `sha512:${'a'.repeat(128)}`,
  ])('I15: a layer with the digest %s is refused before anything is asked for', async (digest) => {
    const made = image({ manifest: (one) => ({ ...one, layers: [{ mediaType: MEDIA.layerGzip, digest, size: 5 }] }) });
    serve(made);
    await expectRefused('invalid_image', /neither the manifest/);
    expect(registry.seen).toHaveLength(1);
  });

  it.each([
    ['longer', (bytes: Buffer) => bytesOf(Buffer.concat([bytes, bytes])), 'digest_mismatch', /longer than/],
    ['shorter', (bytes: Buffer) => bytesOf(bytes.subarray(0, 100)), 'registry_failed', /100 of/],
  ] as const)('I16: a blob that is %s than its descriptor says is refused', async (_what, answer, code, words) => {
    const made = image();
    serve(made);
    const [layer] = made.layers;
    registry.on(new RegExp(`blobs/${layer!.digest}`), answer(made.blobs.get(layer!.digest)!));
    await expectRefused(code, words);
  });

  it('I16: a blob without an end is cut at its size', async () => {
    const made = image();
    serve(made);
    let sent = 0;
    registry.on(new RegExp(`blobs/${made.layers[0]!.digest}`), (_request, response) => {
      response.writeHead(200);
      const more = () => {
        sent += 65_536;
        if (!response.destroyed) response.write(randomBytes(65_536), () => setImmediate(more));
      };
      more();
    });
    await expectRefused('digest_mismatch', /longer than/);
    expect(sent).toBeLessThan(16 * 1024 * 1024);
  });

  it('I16: a negative or fractional size is refused', async () => {
    for (const size of [-1, 0.5, '5', 2 ** 60]) {
      registry.reset();
      serve(image({ manifest: (one) => ({ ...one, layers: [{ ...(one['layers'] as object[])[0], size }] }) }));
      await expectRefused('invalid_image', /not acceptable|more than/);
    }
  });
});

describe('manifests', () => {
  it('I17: one that is an image and an index at once is refused', async () => {
    serve(image({ manifest: (one) => ({ ...one, manifests: [] }) }));
    await expectRefused('invalid_image', /at once/);
  });

  it('I17: one whose media type is not its Content-Type is refused', async () => {
    serveManifest(image().manifest, MEDIA.dockerManifest);
    await expectRefused('invalid_image', /Content-Type/);
  });

  it('I17: one without a media type of its own is taken by its Content-Type', async () => {
    const made = image({ manifest: ({ mediaType: _, ...one }) => one });
    serve(made);
    expect((await pull()).digest).toBe(made.digest);
    expect((await store.get(made.digest)).layers).toHaveLength(1);
  });

  it('I17: one without any media type that is right is refused', async () => {
    serveManifest(image({ manifest: ({ mediaType: _, ...one }) => one }).manifest, 'text/html');
    await expectRefused('invalid_image', /Content-Type/);
  });

  it('I17: more than 4 MiB are refused', async () => {
    serve(image({ manifest: (one) => ({ ...one, annotations: { x: 'y'.repeat(4 * 1024 * 1024) } }) }));
    await expectRefused('invalid_image', /larger than 4194304/);
  });

  it('I17: more than 128 layers are refused before a blob is asked for', async () => {
    const layers = Array.from({ length: 129 }, (_, at) => ({
      mediaType: MEDIA.layerGzip,
      digest: sha256(String(at)),
      size: 5,
    }));
    serve(image({ manifest: (one) => ({ ...one, layers }) }));
    await expectRefused('invalid_image', /more than 128 layers/);
    expect(registry.seen).toHaveLength(1);
  });

  it('I17: a layer that is there twice is fetched once', async () => {
    const files = unique();
    const made = makeImage([files, unique(), files]);
    serve(made);
    await pull();
    const asked = registry.seen.filter(({ url }) => url.endsWith(made.layers[0]!.digest));
    expect(asked).toHaveLength(1);
    expect((await store.get(made.digest)).layers).toHaveLength(3);
  });

  it('I17: schema version 1, HTML and nothing at all are refused', async () => {
    const answers = ['{"schemaVersion":1,"fsLayers":[]}', '<html>', '', 'null', '[]', '{"schemaVersion":2}'];
    for (const body of answers) {
      registry.reset();
      serveManifest(Buffer.from(body), MEDIA.manifest);
      await expectRefused('invalid_image', /not acceptable/);
    }
  });

  const indexOf = (digest: string, size: number, more: object = {}) => {
    const platform = { os: 'linux', architecture: process.arch === 'x64' ? 'amd64' : process.arch };
    const child = { mediaType: MEDIA.manifest, digest, size, platform, ...more };
    return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MEDIA.index, manifests: [child] }));
  };

  it('I18: an index leads to the image of this host, four deep and no deeper', async () => {
    const made = image();
    serve(made);
    let bytes = made.manifest;
    for (let depth = 1; depth <= 5; depth++) {
      const child = sha256(bytes);
      bytes = indexOf(child, bytes.length);
      serveManifest(bytes, MEDIA.index, `depth${depth}`);
      serveManifest(bytes, MEDIA.index, sha256(bytes));
    }
    expect((await pull('a:depth4')).digest).toBe(made.digest);
    await expectRefused('invalid_image', /nested deeper than 4/, () => pull('a:depth5'));
  });

  it('I17: an index whose media type is not its Content-Type is refused', async () => {
    const made = image();
    serve(made);
    serveManifest(indexOf(made.digest, made.manifest.length), MEDIA.dockerIndex);
    await expectRefused('invalid_image', /Content-Type/);
  });

  it('I18: an index that names itself can not have its digest', async () => {
    const bytes = indexOf(sha256('not this one'), 300);
    registry.on(/manifests/, bytesOf(bytes, MEDIA.index));
    await expectRefused('digest_mismatch', /should be/);
  });

  it('I18: an index without this platform says what it has', async () => {
    serveManifest(indexOf(sha256('x'), 5, { platform: { os: 'linux', architecture: 's390x' } }), MEDIA.index);
    await expectRefused('invalid_image', /only linux\/s390x/);
  });

  it('I19: a config that does not fit is refused: count, content, platform, history', async () => {
    const cases: [MakeOptions['config'], string, RegExp][] = [
      [(one) => ({ ...one, rootfs: { type: 'layers', diff_ids: [] } }), 'digest_mismatch', /does not fit/],
      [
        (one) => ({ ...one, rootfs: { type: 'layers', diff_ids: [sha256('x')] } }),
        'digest_mismatch',
        /content of a layer/,
      ],
      [(one) => ({ ...one, architecture: 's390x' }), 'invalid_image', /linux\/s390x/],
      [(one) => ({ ...one, os: 'windows' }), 'invalid_image', /windows/],
      [(one) => ({ ...one, history: 'junk' }), 'invalid_image', /history/],
      [(one) => ({ ...one, history: [{ created_by: { x: 1 } }] }), 'invalid_image', /history/],
      [(one) => ({ ...one, config: { Entrypoint: '/bin/sh' } }), 'invalid_image', /Entrypoint/],
      [
        (one) => ({ ...one, config: { Env: Array.from({ length: 10_000 }, (_, at) => `A${at}=b`) } }),
        'invalid_image',
        /Env/,
      ],
      [(one) => ({ ...one, config: { User: 5 } }), 'invalid_image', /User/],
      [(one) => ({ ...one, config: { Labels: { a: 1 } } }), 'invalid_image', /Labels/],
      [(one) => ({ ...one, config: 'x' }), 'invalid_image', /config/],
    ];
    for (const [config, code, words] of cases) {
      registry.reset();
      serve(image({ config: config! }));
      await expectRefused(code, words);
    }
  });

  it('I19: a blob that is another layer than the config says can not take the place of one that is there', async () => {
    const good = image();
    serve(good);
    await pull();
    const liar = image({
      config: (one) => ({ ...one, rootfs: { type: 'layers', diff_ids: [good.layers[0]!.diffId] } }),
    });
    serve(liar);
    await expectRefused('digest_mismatch', /content of a layer/);
  });

  it.each([
    ['Entrypoint', '/bin/sh'],
    ['Cmd', [1]],
    ['Env', Array.from({ length: 10_000 }, (_, at) => `A${at}=x`)],
    ['User', { uid: 0 }],
    ['WorkingDir', ['/']],
    ['Labels', { a: 1 }],
    ['Volumes', ['/data']],
    ['ExposedPorts', { '80/tcp': 'x' }],
    ['StopSignal', 9],
    ['Shell', 'sh'],
    ['OnBuild', 'RUN x'],
    ['Healthcheck', { Test: 'x' }],
    ['Healthcheck', { Test: ['CMD', 'x'], Interval: 'often' }],
  ])('I20: a config whose %s is %j is refused', async (key, value) => {
    serve(image({ config: (config) => ({ ...config, config: { [key]: value } }) }));
    await expectRefused('invalid_image', new RegExp(`"${key}"`));
  });

  it('I20: what Docker and podman write is taken: nulls, empty objects, times in nanoseconds', async () => {
    const run = {
      Entrypoint: null,
      Env: null,
      Labels: null,
      Volumes: { '/data': {} },
      ExposedPorts: { '80/tcp': {} },
      OnBuild: null,
      Healthcheck: { Test: ['CMD-SHELL', 'x'], Interval: 30_000_000_000 },
    };
    serve(image({ config: (config) => ({ ...config, config: run }) }));
    expect((await pull()).isNew).toBe(true);
  });

  it('I23: URLs of a layer are never asked', async () => {
    const urls = [`http://${other.host}/layer`];
    const made = image({
      manifest: (one) => ({ ...one, layers: (one['layers'] as object[]).map((layer) => ({ ...layer, urls })) }),
    });
    serve(made);
    await pull();
    serve(image({ layerType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip' }));
    await expectRefused('invalid_image', /media type/);
    expect(other.seen).toEqual([]);
  });

  it('I24: a tag that moves after the first answer changes nothing', async () => {
    const first = image();
    const second = image();
    registry.serve('a', 'v2', second);
    serve(first);
    let asked = 0;
    registry.on(/manifests\/v1$/, (request, response) =>
      bytesOf((asked++ === 0 ? first : second).manifest, MEDIA.manifest)(request, response),
    );
    expect((await pull()).digest).toBe(first.digest);
  });
});

describe('layers', () => {
  it('I12: what is no gzip, no tar, or cut off is refused', async () => {
    const tar = makeTar(unique());
    const cases: [(bytes: Buffer) => Buffer, RegExp][] = [
      [() => Buffer.from('<html>not found</html>'), /decompressed|unpacked/],
      [(bytes) => gzipSync(bytes).subarray(0, 1000), /unexpected end/],
      [() => gzipSync(tar.subarray(0, 2000)), /content of a layer/],
    ];
    for (const [pack, words] of cases) {
      registry.reset();
      serve(image({ pack }));
      await expectRefused(/content/.test(words.source) ? 'digest_mismatch' : 'invalid_image', words);
    }
  });

  it('I9: zstd needs a Node that has it, and says so', async () => {
    const hasZstd = 'createZstdDecompress' in zlib;
    serve(image({ layerType: MEDIA.layerZstd }));
    await expectRefused('invalid_image', hasZstd ? /unpacked|decompressed/ : /zstd, which Node v/);
  });

  it('zstd layers are unpacked where Node has zstd', async ({ skip }) => {
    if (!('zstdCompressSync' in zlib)) skip(`Node ${process.version} has no zstd; 22.15 and later have`);
    const { zstdCompressSync } = zlib as unknown as { zstdCompressSync(bytes: Buffer): Buffer };
    const made = image({ layerType: MEDIA.layerZstd, pack: zstdCompressSync });
    serve(made);
    expect((await pull()).digest).toBe(made.digest);
    expect(unpacked).toBe(1);
  });

  it('plain tars are layers too', async () => {
    const made = image({ layerType: MEDIA.layer, pack: (tar) => tar });
    serve(made);
    expect((await pull()).digest).toBe(made.digest);
  });
});
