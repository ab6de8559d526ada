/** Hostile and broken registries: group I of the hostile inputs. After each refusal the store is as before. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as zlib from 'node:zlib';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createImageService, type ImageService, openImageStore } from '../../../services/core/images/index.ts';
import type { TransferEvent } from '../../../services/core/images/progress.ts';
import { createRegistryClient } from '../../../services/core/images/registry/client.ts';
import type { RegistryLimits } from '../../../services/core/images/registry/limits.ts';
import { type ImageStore, MEDIA } from '../../../services/core/images/types.ts';
import { makeTar } from '../../helpers/make-tar.ts';
import { type MadeImage, type MakeOptions, makeImage, sha256 } from '../../helpers/oci-layout.ts';
import { bytesOf, type ScriptedRegistry, startScriptedRegistry, statusOf } from '../../helpers/scripted-registry.ts';
import { createTarUnpacker } from '../../helpers/tar-unpacker.ts';

let dir: string;
let registry: ScriptedRegistry;
let other: ScriptedRegistry;
let store: ImageStore;
let unpacked = 0;
const signal = new AbortController().signal;
const PASSWORD = { username: 'ada', password: 'secret' };

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'wafer-hostile-'));
  registry = await startScriptedRegistry();
  other = await startScriptedRegistry();
  const unpacker = createTarUnpacker(join(dir, 'layers'));
  const counted = {
    ...unpacker,
    unpack: (...args: Parameters<typeof unpacker.unpack>) => {
      unpacked += 1;
      return unpacker.unpack(...args);
    },
  };
  store = await openImageStore({ dir, unpacker: counted, log: { warn: () => undefined, info: () => undefined } });
});
afterAll(async () => {
  await Promise.all([registry.close(), other.close()]);
  rmSync(dir, { recursive: true, force: true });
});
beforeEach(() => {
  registry.reset();
  other.reset();
  unpacked = 0;
});

const FAST = { backoffMs: 1, maxBackoffMs: 20 };
interface Setup {
  limits?: Partial<RegistryLimits>;
  login?: boolean;
  named?: string[];
}
function service({ limits = {}, login = false, named = [] }: Setup = {}): ImageService {
  const credentials = {
    get: async () => (login ? PASSWORD : null),
    set: async () => {},
    remove: async () => false,
    registries: async () => [],
  };
  const client = createRegistryClient({
    insecure: [registry.host, ...named],
    credentials,
    limits: { ...FAST, ...limits },
  });
  return createImageService({
    store,
    client,
    credentials,
    defaultRegistry: null,
    isReserved: () => false,
    tmpDir: dir,
  });
}
const pull = (name = 'a:v1', setup: Setup = {}, onEvent: (event: TransferEvent) => void = () => {}) =>
  service(setup).pull(`${registry.host}/${name}`, { onEvent, signal });
const everything = () =>
  ['blobs/sha256', 'layers', 'meta', 'tmp'].flatMap((below) => readdirSync(join(dir, below))).sort();

async function expectRefused(code: string, words: RegExp, run: () => Promise<unknown> = pull): Promise<void> {
  const before = everything();
  await expect(run()).rejects.toMatchObject({ code, message: expect.stringMatching(words) });
  expect(everything()).toEqual(before);
}

let numbers = 0;
const unique = () => ({ [`file-${numbers++}`]: randomBytes(50_000) });
const image = (options: MakeOptions = {}, layers = 1) => makeImage(Array.from({ length: layers }, unique), options);
const serve = (made: MadeImage) => registry.serve('a', 'v1', made);
const serveManifest = (bytes: Buffer, type: string, name = 'v1') =>
  registry.on(new RegExp(`/v2/a/manifests/${name}$`), bytesOf(bytes, type));

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

  it.runIf('zstdCompressSync' in zlib)('zstd layers are unpacked where Node has zstd', async () => {
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

describe('where a registry sends us', () => {
  it('I21: a redirect to another host that is not public is refused; one that is named gets no credentials', async () => {
    const made = image();
    serve(made);
    other.serve('a', 'v1', made);
    const [layer] = made.layers;
    const location = `http://${other.host}/v2/a/blobs/${layer!.digest}`;
    registry.on(new RegExp(`blobs/${layer!.digest}`), statusOf(307, { location }));
    await expectRefused('registry_denied', /HTTPS/);
    for (const address of ['169.254.169.254', '127.0.0.1', '[::1]', '10.0.0.1', '[::ffff:127.0.0.1]', '0.0.0.0']) {
      registry.on(new RegExp(`blobs/${layer!.digest}`), statusOf(307, { location: `https://${address}/x` }));
      await expectRefused('registry_denied', /not a public address/);
    }
    registry.on(new RegExp(`blobs/${layer!.digest}`), statusOf(307, { location: `https://localhost/x` }));
    await expectRefused('registry_denied', /localhost \((127\.0\.0\.1|::1)\), which is not a public address/);
    expect(other.seen).toEqual([]);
    registry.on(new RegExp(`blobs/${layer!.digest}`), statusOf(307, { location }));
    registry.on(/manifests/, (request, response) => {
      if (request.headers.authorization === undefined)
        return statusOf(401, { 'www-authenticate': 'Basic realm="x"' })(request, response);
      bytesOf(made.manifest, MEDIA.manifest)(request, response);
    });
    await pull('a:v1', { login: true, named: [other.host] });
    expect(registry.seen.at(-1)!.headers.authorization).toMatch(/^Basic /);
    expect(other.seen).toHaveLength(1);
    expect(other.seen[0]!.headers.authorization).toBeUndefined();
  });

  it('I21: redirects in a circle end', async () => {
    registry.on(/manifests/, (request, response) => statusOf(302, { location: request.url })(request, response));
    await expectRefused('registry_failed', /too often/);
    expect(registry.seen.length).toBeLessThan(10);
  });

  it('I21: a token server on another host without HTTPS, or at a private address, gets nothing', async () => {
    for (const realm of [
      `http://${other.host}/token`,
      'https://192.168.0.1/token',
      'https://127.0.0.1:1/token',
      'http://169.254.169.254/',
    ]) {
      registry.on(/manifests/, statusOf(401, { 'www-authenticate': `Bearer realm="${realm}",service="x"` }));
      await expectRefused('registry_denied', /sends us to/, () => pull('a:v1', { login: true }));
    }
    expect(other.seen).toEqual([]);
  });

  it('I21: a token is asked for with our own scope, and goes to the registry only', async () => {
    const made = image();
    serve(made);
    registry.on(/GET \/token/, bytesOf(Buffer.from('{"token":"t-1"}'), 'application/json'));
    registry.on(/\/v2\//, (request, response) => {
      if (request.headers.authorization === 'Bearer t-1') {
        const found = [...made.blobs].find(([digest]) => request.url.includes(digest));
        return bytesOf(found?.[1] ?? made.manifest, found === undefined ? MEDIA.manifest : undefined)(
          request,
          response,
        );
      }
      const challenge = `Bearer realm="http://${registry.host}/token?scope=evil",service="s",scope="repository:all:*"`;
      statusOf(401, { 'www-authenticate': challenge })(request, response);
    });
    await pull();
    const token = registry.seen.find(({ url }) => url.startsWith('/token'))!;
    const query = new URL(token.url, 'http://x').searchParams;
    expect(query.getAll('scope')).toEqual(['repository:a:pull']);
    expect(query.get('service')).toBe('s');
  });

  it('I21: an upload is not followed to another host', async () => {
    const made = image();
    serve(made);
    await pull();
    registry.on(/HEAD/, statusOf(404));
    registry.on(/POST/, statusOf(202, { location: `http://${other.host}/upload` }));
    await expect(
      service({ login: true }).push(made.digest, undefined, { onEvent: () => {}, signal }),
    ).rejects.toMatchObject({ code: 'registry_denied' });
    registry.on(/POST/, statusOf(202, { location: 'https://169.254.169.254/upload' }));
    await expect(service().push(made.digest, undefined, { onEvent: () => {}, signal })).rejects.toMatchObject({
      code: 'registry_denied',
    });
    expect(other.seen).toEqual([]);
  });

  it('a token that could break out of its header is refused', async () => {
    registry.on(/GET \/token/, bytesOf(Buffer.from(JSON.stringify({ token: 'a\r\nx: y' })), 'application/json'));
    registry.on(/manifests/, statusOf(401, { 'www-authenticate': `Bearer realm="http://${registry.host}/token"` }));
    await expectRefused('registry_failed', /without a token/);
  });

  it('a registry that is not named is spoken to over HTTPS only', async () => {
    const run = () => service().pull(`${other.host}/a:v1`, { onEvent: () => {}, signal });
    await expect(run()).rejects.toMatchObject({ hint: expect.stringContaining('WAFER_INSECURE_REGISTRIES') });
    expect(other.seen).toEqual([]);
  });
});

describe('broken registries', () => {
  it('I22: 401 again and again ends, and says how to log in', async () => {
    registry.on(/GET \/token/, bytesOf(Buffer.from('{"token":"t"}'), 'application/json'));
    registry.on(/manifests/, statusOf(401, { 'www-authenticate': `Bearer realm="http://${registry.host}/token"` }));
    await expect(pull()).rejects.toMatchObject({ code: 'registry_denied', hint: expect.stringContaining('login') });
    registry.on(/manifests/, statusOf(401, { 'www-authenticate': 'Basic realm="x"' }));
    await expectRefused('registry_denied', /401/, () => pull('a:v1', { login: true }));
    expect(registry.seen.length).toBeLessThan(10);
  });

  it('I22: 429 and 503 are tried again a few times, not for ever', async () => {
    const made = image();
    serve(made);
    let refusals = 2;
    registry.on(/manifests/, (request, response) => {
      if (refusals-- > 0) return statusOf(429, { 'retry-after': '3000' })(request, response);
      bytesOf(made.manifest, MEDIA.manifest)(request, response);
    });
    expect((await pull()).digest).toBe(made.digest);
    registry.reset();
    registry.on(/manifests/, statusOf(503));
    await expectRefused('registry_failed', /failed 5 times; the last time: .* answered 503/);
    expect(registry.seen).toHaveLength(5);
  });

  it('I22: a blob that breaks off goes on where it was', async () => {
    const made = makeImage([{ big: randomBytes(2_000_000) }]);
    serve(made);
    const [layer] = made.layers;
    const bytes = made.blobs.get(layer!.digest)!;
    const ranges: (string | undefined)[] = [];
    let cuts = 2;
    registry.on(new RegExp(`blobs/${layer!.digest}`), (request, response) => {
      const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
      ranges.push(request.headers.range);
      const rest = bytes.subarray(from);
      const headers = {
        'content-length': rest.length,
        'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}`,
      };
      response.writeHead(from > 0 ? 206 : 200, headers);
      if (cuts-- > 0) response.write(rest.subarray(0, 700_000), () => response.destroy());
      else response.end(rest);
    });
    expect((await pull()).digest).toBe(made.digest);
    expect(ranges).toEqual([undefined, expect.stringMatching(/^bytes=[1-9]/), expect.stringMatching(/^bytes=[1-9]/)]);
  });

  it.each([
    ['another range', { 'content-range': 'bytes 0-99/100' }, 206],
    ['another size', { 'content-range': 'bytes 700000-999999/1000000' }, 206],
    ['no range', {}, 206],
    ['the whole again', {}, 200],
  ] as const)('I22: a continuation with %s starts anew, and the content is right', async (_what, headers, status) => {
    const made = makeImage([{ big: randomBytes(1_500_000) }]);
    serve(made);
    const [layer] = made.layers;
    const bytes = made.blobs.get(layer!.digest)!;
    let asked = 0;
    registry.on(new RegExp(`blobs/${layer!.digest}`), (_request, response) => {
      asked += 1;
      if (asked === 1)
        return void response
          .writeHead(200, { 'content-length': bytes.length })
          .write(bytes.subarray(0, 700_000), () => response.destroy());
      if (asked === 2) return void response.writeHead(status, headers).end(bytes);
      response.writeHead(200, { 'content-length': bytes.length }).end(bytes);
    });
    expect((await pull()).digest).toBe(made.digest);
    expect(asked).toBe(status === 200 ? 2 : 3);
  });

  it('I22: a blob that comes in drops is given up, and the next try may be quicker', async () => {
    const made = image();
    serve(made);
    const [layer] = made.layers;
    const bytes = made.blobs.get(layer!.digest)!;
    let asked = 0;
    registry.on(new RegExp(`blobs/${layer!.digest}`), (_request, response) => {
      if (asked++ > 0) return void response.end(bytes);
      response.writeHead(200, { 'content-length': bytes.length });
      const timer = setInterval(() => response.write('x'), 5);
      response.once('close', () => clearInterval(timer));
    });
    const run = pull('a:v1', { limits: { stallMs: 100, stallBytes: 1000 } });
    // The drops were wrong bytes and are thrown away with the restart.
    expect((await run).digest).toBe(made.digest);
  });

  it('I22: silence ends', async () => {
    registry.on(/manifests/, () => {});
    await expectRefused('registry_failed', /silent/, () => pull('a:v1', { limits: { idleMs: 50, attempts: 2 } }));
  });

  it('I22: a second encoding is refused', async () => {
    const made = image();
    serve(made);
    const [layer] = made.layers;
    const packed = gzipSync(made.blobs.get(layer!.digest)!);
    registry.on(new RegExp(`blobs/${layer!.digest}`), bytesOf(packed, undefined, { 'content-encoding': 'gzip' }));
    await expectRefused('registry_failed', /second time/);
  });

  it('an error text is printed without its control characters', async () => {
    const body = JSON.stringify({ errors: [{ code: 'DENIED', message: '\u001b[2Jgone\r\n' }] });
    registry.on(/manifests/, statusOf(403, {}, body));
    await expectRefused('registry_denied', /\(DENIED: \?\[2Jgone\?\?\)/);
  });

  it('I25: pulls of one image at the same time fetch each layer once', async () => {
    const made = image({}, 2);
    serve(made);
    const results = await Promise.all(Array.from({ length: 8 }, () => pull()));
    expect(new Set(results.map(({ digest }) => digest))).toEqual(new Set([made.digest]));
    for (const { digest } of made.layers) {
      expect(registry.seen.filter(({ url }) => url.endsWith(digest))).toHaveLength(1);
    }
    expect(unpacked).toBe(2);
  });

  it('a pull that is given up leaves no partial file, and its layers are there for the next one', async () => {
    const made = makeImage([unique(), { big: randomBytes(1_000_000) }]);
    serve(made);
    const stop = new AbortController();
    registry.on(new RegExp(`blobs/${made.layers[1]!.digest}`), (_request, response) => {
      response
        .writeHead(200, { 'content-length': made.layers[1]!.size })
        .write(made.blobs.get(made.layers[1]!.digest)!.subarray(0, 1000));
    });
    const run = service().pull(`${registry.host}/a:v1`, {
      onEvent: (event) => event.state === 'done' && stop.abort(new Error('given up')),
      signal: stop.signal,
    });
    await expect(run).rejects.toThrow('given up');
    expect(readdirSync(join(dir, 'tmp'))).toEqual([]);
    registry.reset();
    serve(made);
    await pull();
    expect(registry.seen.some(({ url }) => url.endsWith(made.layers[0]!.digest))).toBe(false);
  });
});
