/** Pull and push against Debian's docker-registry, with skopeo as the other client. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openImageStore } from '../../../services/core/images/index.ts';
import type { TransferEvent } from '../../../services/core/images/progress.ts';
import { parseReference } from '../../../services/core/images/reference.ts';
import { createRegistryClient } from '../../../services/core/images/registry/client.ts';
import { pullImage } from '../../../services/core/images/registry/pull.ts';
import { pushImage } from '../../../services/core/images/registry/push.ts';
import { type ImageStore, MEDIA } from '../../../services/core/images/types.ts';
import { type DockerRegistry, skopeo, startDockerRegistry } from '../../helpers/docker-registry.ts';
import { makeTar, streamOf } from '../../helpers/make-tar.ts';
import { makeImage, writeLayout } from '../../helpers/oci-layout.ts';
import { createTarUnpacker } from '../../helpers/tar-unpacker.ts';

let dir: string;
let registry: DockerRegistry;
let stores = 0;
const signal = new AbortController().signal;
const log = { warn: () => undefined, info: () => undefined };

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'wafer-registry-'));
  registry = await startDockerRegistry(join(dir, 'registry'));
});
afterAll(async () => {
  await registry.close();
  rmSync(dir, { recursive: true, force: true });
});

const newStore = (): Promise<ImageStore & { dir: string }> => {
  const at = join(dir, `store-${stores++}`);
  const unpacker = createTarUnpacker(join(at, 'layers'));
  return openImageStore({ dir: at, unpacker, log }).then((store) => ({ ...store, dir: at }));
};
const client = (limits = {}) =>
  createRegistryClient({ insecure: [registry.host], credentials: { get: async () => null }, limits });
const reference = (name: string) => parseReference(`${registry.host}/${name}`, null);
const pull = async (store: ImageStore, name: string, events: TransferEvent[] = []) =>
  pullImage(store, client(), reference(name), { onEvent: (event) => events.push(event), signal });
const push = async (store: ImageStore, from: string, name: string, limits = {}) => {
  const events: TransferEvent[] = [];
  const onEvent = (event: TransferEvent) => void events.push(event);
  await pushImage(store, client(limits), await store.get(from), reference(name), { onEvent, signal });
  return events;
};
const toRegistry = (source: string, name: string, ...flags: string[]) =>
  skopeo('copy', '--dest-tls-verify=false', ...flags, source, `docker://${registry.host}/${name}`);
const inspect = async (name: string) =>
  JSON.parse(await skopeo('inspect', '--tls-verify=false', `docker://${registry.host}/${name}`));

const LAYERS = [
  { 'etc/': null, 'etc/base.txt': 'base'.repeat(2000) },
  { 'app.bin': randomBytes(3_000_000) },
  { 'etc/app.txt': 'app' },
];

describe('pull', () => {
  it('brings what skopeo pushed, byte by byte, and unpacks it', async () => {
    const image = makeImage(LAYERS);
    await toRegistry(writeLayout(join(dir, 'layout-a'), image), 'team/a:v1');
    const store = await newStore();
    const events: TransferEvent[] = [];
    const pulled = await pull(store, 'team/a:v1', events);
    expect(pulled).toMatchObject({
      isNew: true,
      image: { digest: image.digest, tags: [`${registry.host}/team/a:v1`] },
    });
    expect((await inspect('team/a:v1')).Digest).toBe(image.digest);
    for (const [digest, bytes] of image.blobs) {
      expect(readFileSync(join(store.dir, 'blobs/sha256', digest.slice(7))).equals(bytes)).toBe(true);
    }
    const names = store.layerNames(pulled.image);
    expect(names).toEqual(image.layers.map(({ diffId }) => diffId.slice(7)));
    expect(readFileSync(join(store.dir, 'layers', names[0] ?? '', 'etc/base.txt'), 'utf8')).toBe('base'.repeat(2000));
    expect(new Set(events.map(({ state }) => state))).toEqual(new Set(['fetching', 'unpacking', 'done']));
    expect(pulled.image.layers.map(({ createdBy }) => createdBy)).toEqual(['step 1', 'step 2', 'step 3']);
  });

  it('costs nothing the second time, and shares the layers of another image', async () => {
    await toRegistry(writeLayout(join(dir, 'layout-b'), makeImage([...LAYERS, { new: 'x' }])), 'team/b:v1');
    const store = await newStore();
    await pull(store, 'team/a:v1');
    const again: TransferEvent[] = [];
    expect((await pull(store, 'team/a:v1', again)).isNew).toBe(false);
    expect(new Set(again.map(({ state }) => state))).toEqual(new Set(['exists']));
    const other: TransferEvent[] = [];
    await pull(store, 'team/b:v1', other);
    expect(other.filter(({ state }) => state === 'exists')).toHaveLength(3);
    expect(new Set(other.filter(({ state }) => state === 'fetching').map(({ digest }) => digest)).size).toBe(1);
    expect(readdirSync(join(store.dir, 'layers'))).toHaveLength(4);
  });

  it('takes Docker media types and keeps them', async () => {
    const source = writeLayout(join(dir, 'layout-a'), makeImage(LAYERS));
    await toRegistry(source, 'team/docker:v1', '--format', 'v2s2');
    const store = await newStore();
    const { image } = await pull(store, 'team/docker:v1');
    const manifest = JSON.parse((await store.document(image.digest)).toString());
    expect(manifest.mediaType).toBe(MEDIA.dockerManifest);
    expect((await inspect('team/docker:v1')).Digest).toBe(image.digest);
    const reopened = await openImageStore({
      dir: store.dir,
      unpacker: createTarUnpacker(join(store.dir, 'layers')),
      log,
    });
    expect((await reopened.list()).map(({ digest }) => digest)).toEqual([image.digest]);
    await reopened.collectGarbage();
    expect((await reopened.get(image.digest)).layers).toHaveLength(3);
  });

  it('says which image is missing', async () => {
    await expect(pull(await newStore(), 'team/none:v1')).rejects.toMatchObject({ code: 'image_not_found' });
  });
});

describe('push', () => {
  it('gives the registry the same digests, whole and in pieces, and skopeo reads them', async () => {
    const store = await newStore();
    const image = makeImage(LAYERS);
    const { image: pulled } = await pull(store, 'team/a:v1');
    const events = await push(store, pulled.digest, 'elsewhere/whole:v2');
    expect((await inspect('elsewhere/whole:v2')).Digest).toBe(image.digest);
    expect(events.some(({ state }) => state === 'mounted')).toBe(true);
    const own = await store.addLayer(streamOf(makeTar({ own: randomBytes(1_000_000) })), { createdBy: 'own' });
    await store.putImage({ layers: [own.diffId], config: { Cmd: ['/own'] }, tag: 'own' });
    const sent = await push(store, 'own', 'elsewhere/pieces:v1', { chunkBytes: 100_000 });
    expect(sent.filter(({ state }) => state === 'sending').length).toBeGreaterThan(0);
    const { digest } = await store.get('own');
    expect((await inspect('elsewhere/pieces:v1')).Digest).toBe(digest);
    await skopeo(
      'copy',
      '--src-tls-verify=false',
      `docker://${registry.host}/elsewhere/pieces:v1`,
      `oci:${join(dir, 'back')}:v1`,
    );
    expect(readdirSync(join(dir, 'back/blobs/sha256'))).toContain(digest.slice(7));
    expect((await push(store, 'own', 'elsewhere/pieces:v1')).map(({ state }) => state)).toEqual(['exists']);
  });
});
