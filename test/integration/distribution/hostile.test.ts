/** What a client must not get away with, and what a client without a key finds out: nothing. */
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { MEDIA } from '../../../services/core/images/types.ts';
import { head } from '../../helpers/api-server.ts';
import { makeImage, sha256 } from '../../helpers/oci-layout.ts';
import { rawTar } from '../../helpers/raw-tar.ts';
import {
  type Answer,
  describe1,
  type Lab,
  newDir,
  pushBlob,
  putManifest,
  smallImage,
  startLab,
  TEST_KEY,
} from './lab.ts';

const refused = ({ status, code }: Answer) => ({ status, code });
const INVALID = { status: 400, code: 'MANIFEST_INVALID' };
const NOTHING = { blobs: [], uploads: [], layers: [], repositories: [] };

const raw = async (lab: Lab, method: string, path: string, ...headers: string[]) => {
  const text = await lab.api.raw(`${head(`${method} ${path}`, 'Connection: close', ...headers)}\r\n\r\n`);
  return { status: Number(text.slice(9, 12)), code: /"code":"([A-Z_]+)"/.exec(text)?.[1], text };
};

describe('without a key', () => {
  it.each([
    'GET /v2/',
    'GET /v2/_catalog',
    'GET /v2/app/manifests/v1',
    'HEAD /v2/app/manifests/v1',
    'PUT /v2/app/manifests/v1',
    'DELETE /v2/app/manifests/v1',
    'POST /v2/app/blobs/uploads/',
    'PATCH /v2/app/blobs/uploads/00000000-0000-0000-0000-000000000000',
    `GET /v2/app/blobs/${sha256('')}`,
    'GET /v2/nothing/like/this',
  ])('%s is 401, and says how to log in', async (line) => {
    const lab = await startLab();
    const [method = '', path = ''] = line.split(' ');
    const answer = await fetch(`${lab.api.url}${path}`, { method });
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toBe('Basic realm="wafer"');
    if (method !== 'HEAD') expect(await answer.json()).toMatchObject({ errors: [{ code: 'UNAUTHORIZED' }] });
  });

  const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;
  it.each([
    ['Bearer KEY', `Bearer ${TEST_KEY}`, 200],
    ['Basic with any user', basic(`somebody:${TEST_KEY}`), 200],
    ['Basic without a user', basic(`:${TEST_KEY}`), 200],
    ['Basic with a wrong key', basic('somebody:wrong'), 401],
    ['Basic with the key as the user', basic(`${TEST_KEY}:`), 401],
    ['Basic without a colon', basic(TEST_KEY), 401],
    ['Basic that is not base64', `Basic ${TEST_KEY}`, 401],
    ['Bearer with a wrong key', 'Bearer wrong', 401],
  ])('%s is answered as it should be', async (_what, authorization, status) => {
    const lab = await startLab();
    const answer = await fetch(`${lab.api.url}/v2/`, { headers: { authorization } });
    expect(answer.status).toBe(status);
    if (status === 200) expect(answer.headers.get('docker-distribution-api-version')).toBe('registry/2.0');
  });

  it('Basic opens /v2/ alone', async () => {
    const lab = await startLab();
    const answer = await fetch(`${lab.api.url}/v1/functions`, { headers: { authorization: basic(`x:${TEST_KEY}`) } });
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toBe('Bearer');
  });
});

describe('names', () => {
  it.each([
    ['..%2f..%2fetc', 'NAME_INVALID'],
    ['a/..', 'NAME_INVALID'],
    ['a/../b', 'NAME_INVALID'],
    ['%2e%2e', 'NAME_INVALID'],
    ['/etc', 'NAME_INVALID'],
    ['a//b', 'NAME_INVALID'],
    ['A', 'NAME_INVALID'],
    ['a%00b', 'NAME_INVALID'],
    ['a%20b', 'NAME_INVALID'],
    ['a%5cb', 'NAME_INVALID'],
    ['host%3A5000/a', 'NAME_INVALID'],
    ['a'.repeat(256), 'NAME_INVALID'],
    ['functions/Hello', 'NAME_INVALID'],
    ['functions/a/b', 'NAME_UNKNOWN'],
    ['deps/x', 'NAME_UNKNOWN'],
    ['build-cache/x', 'NAME_UNKNOWN'],
  ])('%s is refused everywhere', async (name, code) => {
    const lab = await startLab();
    const digest = sha256('x');
    for (const [method, path] of [
      ['GET', `${name}/manifests/latest`],
      ['GET', `${name}/blobs/${digest}`],
      ['GET', `${name}/tags/list`],
      ['GET', `${name}/referrers/${digest}`],
      ['DELETE', `${name}/manifests/latest`],
      ['POST', `${name}/blobs/uploads/`],
      ['PUT', `${name}/manifests/latest`],
    ] as const) {
      const answer = await raw(lab, method, `/v2/${path}`, 'Content-Length: 0');
      expect([path, answer.status, answer.code]).toEqual([path, code === 'NAME_INVALID' ? 400 : 404, code]);
    }
    expect(lab.files()).toEqual(NOTHING);
  });

  it.each([`.${'x'}`, '-x', 'a'.repeat(129), 'a%2fb', 'a%00', 'sha256:..%2f..%2fx', `sha512:${'a'.repeat(128)}`])(
    'the reference %s is refused',
    async (reference) => {
      const lab = await startLab();
      for (const method of ['GET', 'DELETE']) {
        const answer = await raw(lab, method, `/v2/app/manifests/${reference}`);
        expect([answer.status, ['TAG_INVALID', 'DIGEST_INVALID'].includes(answer.code ?? '')]).toEqual([400, true]);
      }
    },
  );

  it('that are not proper percent-encoding are 400', async () => {
    const lab = await startLab();
    for (const name of ['a%zz', 'a%', 'a%ff']) {
      expect(await raw(lab, 'GET', `/v2/${name}/manifests/latest`)).toMatchObject({ status: 400 });
    }
  });

  it('of 255 characters with a tag of 128 are taken', async () => {
    const lab = await startLab();
    const repository = `${'a'.repeat(200)}/${'b'.repeat(54)}`;
    const tag = 't'.repeat(128);
    const image = smallImage();
    expect((await lab.push(repository, image, tag)).status).toBe(201);
    expect((await lab.store.get(`${repository}:${tag}`)).digest).toBe(image.digest);
  });

  it('that are words of the protocol are names all the same', async () => {
    const lab = await startLab();
    const image = smallImage();
    for (const repository of ['manifests', 'blobs/uploads', 'tags/list', 'a/manifests/b', 'constructor']) {
      expect((await lab.push(repository, image, 'latest')).status).toBe(201);
      expect((await lab.ask(`GET /v2/${repository}/manifests/latest`)).body.equals(image.manifest)).toBe(true);
    }
  });

  it('of endpoints that are none, and methods that do not fit, are 404 and 405', async () => {
    const lab = await startLab();
    for (const path of ['/v2/app', '/v2/app/tags', '/v2/app/tags/other', '/v2//', '/v2/_other']) {
      expect(await raw(lab, 'GET', path)).toMatchObject({ status: 404 });
    }
    for (const line of ['POST /v2/', 'PUT /v2/_catalog', 'PATCH /v2/app/manifests/v1', 'GET /v2/app/blobs/uploads/']) {
      const [method = '', path = ''] = line.split(' ');
      const answer = await raw(lab, method, path, 'Content-Length: 0');
      expect([line, answer.status, answer.code]).toEqual([line, 405, 'UNSUPPORTED']);
      expect(answer.text).toMatch(/^allow: /im);
    }
  });
});

describe('a manifest', () => {
  const image = smallImage();
  const plain = JSON.parse(image.manifest.toString());
  const layer = plain.layers[0];
  const withBlobs = async () => {
    const lab = await startLab();
    for (const [digest, bytes] of image.blobs) if (digest !== image.digest) await pushBlob(lab.ask, 'app', bytes);
    return lab;
  };
  const child = { mediaType: MEDIA.manifest, digest: image.digest, size: image.manifest.length };

  it.each<[string, Buffer | object, string?]>([
    ['is not JSON', Buffer.from('<html>'), MEDIA.manifest],
    ['is empty', Buffer.alloc(0), MEDIA.manifest],
    ['is a list', Buffer.from('[]'), MEDIA.manifest],
    ['is null', Buffer.from('null'), MEDIA.manifest],
    ['nests half a million deep', Buffer.from(`${'['.repeat(500_000)}${']'.repeat(500_000)}`), MEDIA.manifest],
    ['is of schema version 1', { ...plain, schemaVersion: 1 }],
    ['is an image and an index at once', { ...plain, manifests: [child] }],
    ['is an index with a config', { schemaVersion: 2, mediaType: MEDIA.index, manifests: [], config: plain.config }],
    ['says another type than its header', plain, MEDIA.dockerManifest],
    ['has a type of its own', { ...plain, mediaType: 'text/html' }],
    ['is a signed one of Docker', { ...plain, mediaType: 'application/vnd.docker.distribution.manifest.v1+prettyjws' }],
    ['has no config', { ...plain, config: undefined }],
    ['has no layers', { ...plain, layers: undefined }],
    ['has layers that are no list', { ...plain, layers: { length: 1, 0: layer } }],
    ['says a negative size', { ...plain, layers: [{ ...layer, size: -1 }] }],
    ['says an absurd size', { ...plain, layers: [{ ...layer, size: 2 ** 60 }] }],
    ['says a size that is off by one', { ...plain, layers: [{ ...layer, size: layer.size + 1 }] }],
    ['says two sizes of one layer', { ...plain, layers: [layer, { ...layer, size: 1 }] }],
    ['says a size that is text', { ...plain, layers: [{ ...layer, size: '12' }] }],
    ['has a digest with a path in it', { ...plain, layers: [{ ...layer, digest: 'sha256:../../x' }] }],
    ['has a digest in capitals', { ...plain, layers: [{ ...layer, digest: layer.digest.toUpperCase() }] }],
    ['has a subject that is none', { ...plain, subject: 'x' }],
    ['lists a hundred thousand layers', { ...plain, layers: Array.from({ length: 20_000 }, () => layer) }],
    ['is an index of itself', { schemaVersion: 2, mediaType: MEDIA.index, manifests: [{ ...child, digest: 'self' }] }],
  ])('that %s is refused, and nothing of it stays', async (_what, manifest, type) => {
    const lab = await withBlobs();
    const before = lab.files();
    expect(refused(await putManifest(lab.ask, 'app', 'v1', manifest, type))).toEqual(INVALID);
    expect(lab.files()).toEqual(before);
    expect((await lab.ask('GET /v2/app/manifests/v1')).status).toBe(404);
  });

  it('of more than 4 MiB is refused before it is read whole', async () => {
    const lab = await withBlobs();
    const big = Buffer.from(JSON.stringify({ ...plain, annotations: { big: 'x'.repeat(4 * 1024 * 1024) } }));
    const answer = await putManifest(lab.ask, 'app', 'v1', big);
    expect(refused(answer)).toEqual({ status: 413, code: 'MANIFEST_INVALID' });
    const announced = await lab.api.connect();
    announced.write(`${head('PUT /v2/app/manifests/v1', `Content-Length: ${big.length}`)}\r\n\r\n`);
    expect(await announced.until('MANIFEST_INVALID')).toContain('HTTP/1.1 413');
    announced.destroy();
    const client = await lab.api.connect();
    const type = `Content-Type: ${MEDIA.manifest}`;
    client.write(`${head('PUT /v2/app/manifests/v1', type, 'Transfer-Encoding: chunked')}\r\n\r\n`);
    const piece = Buffer.alloc(1024 * 1024, 0x20);
    for (let at = 0; at < 5; at++) client.write(Buffer.concat([Buffer.from('100000\r\n'), piece, Buffer.from('\r\n')]));
    expect(await client.until('MANIFEST_INVALID')).toContain('HTTP/1.1 413');
  });

  it('of just under 4 MiB is taken', async () => {
    const lab = await withBlobs();
    const big = Buffer.from(JSON.stringify({ ...plain, annotations: { big: 'x'.repeat(4 * 1024 * 1024 - 2000) } }));
    expect((await putManifest(lab.ask, 'app', 'v1', big)).status).toBe(201);
    expect((await lab.ask('GET /v2/app/manifests/v1')).body.equals(big)).toBe(true);
  });

  it('with layers to be fetched elsewhere is refused: nothing is ever fetched', async () => {
    const lab = await startLab();
    const layers = [{ ...layer, digest: sha256('far'), urls: [`${lab.api.url}/v2/`] }];
    await pushBlob(lab.ask, 'app', image.config);
    const answer = await putManifest(lab.ask, 'app', 'v1', { ...plain, layers });
    expect(refused(answer)).toEqual({ status: 404, code: 'MANIFEST_BLOB_UNKNOWN' });
  });

  it('with a content encoding is refused', async () => {
    const lab = await withBlobs();
    const answer = await lab.ask('PUT /v2/app/manifests/v1', {
      body: new Uint8Array(image.manifest),
      headers: { 'content-type': MEDIA.manifest, 'content-encoding': 'gzip' },
    });
    expect(refused(answer)).toEqual({ status: 415, code: 'UNSUPPORTED' });
  });

  it('whose config is nonsense is kept as bytes, and is no image', async () => {
    const lab = await startLab();
    for (const text of ['nonsense', '[]', '{"config":{"Env":7}}', `{"a":${'['.repeat(100_000)}`]) {
      const config = Buffer.from(text);
      await pushBlob(lab.ask, 'app', config);
      const manifest = {
        ...plain,
        config: { ...plain.config, digest: sha256(config), size: config.length },
        layers: [],
      };
      const answer = await putManifest(lab.ask, 'app', 'v1', manifest);
      expect([text.slice(0, 10), answer.status, answer.headers.get('warning') !== null]).toEqual([
        text.slice(0, 10),
        201,
        true,
      ]);
    }
    expect(await lab.store.list()).toEqual([]);
    expect(await lab.store.collectGarbage()).toBeDefined();
  });

  it('whose layer is no archive is refused, and the store is as before', async () => {
    const lab = await startLab();
    const broken = makeImage([{ a: 'x' }], { pack: () => Buffer.from('<html>not a layer</html>') });
    expect(refused(await lab.push('app', broken))).toEqual(INVALID);
    expect(lab.files().layers).toEqual([]);
    expect(await lab.store.list()).toEqual([]);
  });

  it('of a layer with a path out of it never reaches the disk outside', async () => {
    const lab = await startLab();
    const tar = rawTar([{ name: '../../../escaped.txt', body: 'out' }]);
    const bytes = tar;
    const config = Buffer.from(
      JSON.stringify({
        architecture: process.arch === 'x64' ? 'amd64' : process.arch,
        os: 'linux',
        config: {},
        rootfs: { type: 'layers', diff_ids: [sha256(bytes)] },
      }),
    );
    for (const blob of [bytes, config]) await pushBlob(lab.ask, 'app', blob);
    const manifest = {
      schemaVersion: 2,
      mediaType: MEDIA.manifest,
      config: { mediaType: MEDIA.config, digest: sha256(config), size: config.length },
      layers: [{ mediaType: MEDIA.layer, digest: sha256(bytes), size: bytes.length }],
    };
    await putManifest(lab.ask, 'app', 'v1', manifest);
    expect(existsSync(join(lab.dir, '..', 'escaped.txt'))).toBe(false);
    expect(existsSync(join(lab.dir, 'escaped.txt'))).toBe(false);
  });
});

describe('the disk', () => {
  it('has no half of an upload after a crash, and what is no upload is left alone or removed', async () => {
    const dir = newDir();
    const first = await startLab({ dir });
    await first.close();
    const id = '11111111-1111-4111-8111-111111111111';
    writeFileSync(join(dir, 'uploads', id), 'data without a note');
    writeFileSync(join(dir, 'uploads', '22222222-2222-4222-8222-222222222222.json'), '{"repository":"app"}');
    await startLab({ dir });
    expect(readdirSync(join(dir, 'uploads'))).toEqual([]);
  });

  it('with a damaged record serves the rest, and collects nothing that the record may keep', async () => {
    const dir = newDir();
    const first = await startLab({ dir });
    const [one, two] = [smallImage(), smallImage()];
    await first.push('one', one);
    await first.push('two', two);
    await first.close();
    const [file = ''] = first.files().repositories;
    writeFileSync(join(dir, 'repositories', file), '{"name":"one"');
    const lab = await startLab({ dir });
    for (const [name, image] of [
      ['one', one],
      ['two', two],
    ] as const) {
      expect((await lab.ask(`GET /v2/${name}/manifests/v1`)).body.equals(image.manifest)).toBe(true);
    }
    await expect(lab.store.collectGarbage()).rejects.toMatchObject({ code: 'digest_mismatch' });
  });
});

describe('many clients at once', () => {
  it('push the same image, move the same tag, delete and collect, and every answer is whole', async () => {
    const lab = await startLab();
    const images = [smallImage(), smallImage()] as const;
    const rounds = Array.from({ length: 6 }, async (_, at) => {
      const image = images[at % 2] ?? images[0];
      const answer = await lab.push('app', image, 'v1');
      expect([201, 404]).toContain(answer.status);
      if (at === 3) await lab.ask(`DELETE /v2/app/manifests/${images[0].digest}`);
      await lab.store.collectGarbage();
    });
    await Promise.all(rounds);
    const push = await lab.push('app', images[1], 'v1');
    expect(push.status).toBe(201);
    const got = await lab.ask('GET /v2/app/manifests/v1');
    expect(got.body.equals(images[1].manifest)).toBe(true);
    for (const { digest } of images[1].layers) {
      expect(sha256((await lab.ask(`GET /v2/app/blobs/${digest}`)).body)).toBe(digest);
    }
    expect(describe1(images[1]).digest).toBe((await lab.store.get('app:v1')).digest);
  });
});
