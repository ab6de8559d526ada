/** Names, removal and cleaning up in the image service, over a real store. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createImageService, type ImageService, openImageStore } from '../../../services/core/images/index.ts';
import { createRegistryClient } from '../../../services/core/images/registry/client.ts';
import { createImageNames } from '../../../services/core/images/reserved.ts';
import type { ImageStore } from '../../../services/core/images/types.ts';
import { makeTar, streamOf } from '../../helpers/make-tar.ts';
import { createTarUnpacker } from '../../helpers/tar-unpacker.ts';

let dir: string;
let store: ImageStore;
let service: ImageService;
let digest: string;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'wafer-service-'));
  mkdirSync(join(dir, 'loads'));
  const log = { warn: () => undefined, info: () => undefined };
  store = await openImageStore({ dir, unpacker: createTarUnpacker(join(dir, 'layers')), log });
  const credentials = {
    get: async () => null,
    set: async () => {},
    remove: async () => false,
    registries: async () => [],
  };
  const client = createRegistryClient({ insecure: [], credentials });
  const names = createImageNames(() => ['node24']);
  const versions = async () => [];
  const tmpDir = join(dir, 'loads');
  service = createImageService({ store, client, credentials, defaultRegistry: 'hub.example', names, versions, tmpDir });
  digest = (await put('hub.example/team/app:latest', 'one')).digest;
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

async function put(tag: string, ...names: string[]) {
  const layers = [];
  for (const name of names) {
    const { diffId } = await store.addLayer(streamOf(makeTar({ [name]: name.repeat(1000) })), {
      createdBy: `make ${name}`,
    });
    layers.push(diffId);
  }
  return store.putImage({ layers, config: { Cmd: [tag] }, tag });
}

describe('an image is found', () => {
  it.each(['hub.example/team/app:latest', 'hub.example/team/app', 'team/app', 'team/app:latest'])(
    'by the name %s',
    async (name) => {
      expect((await service.inspect(name)).digest).toBe(digest);
    },
  );

  it('by its digest, whole or the beginning of it', async () => {
    for (const name of [digest, digest.slice(7), digest.slice(7, 13), digest.slice(0, 20)]) {
      expect((await service.inspect(name)).digest).toBe(digest);
    }
    await expect(service.inspect('ffffff0')).rejects.toMatchObject({ code: 'image_not_found' });
    await expect(service.inspect('../../etc/passwd')).rejects.toMatchObject({ code: 'image_not_found' });
  });

  it('with its parents, its steps and what it shares', async () => {
    const other = await put('other:v1', 'one', 'two');
    const { layers, history } = await service.inspect('other:v1');
    expect(layers.map(({ parent }) => parent)).toEqual([null, layers[0]!.diffId]);
    expect(history.map(({ createdBy, layer }) => [createdBy, layer])).toEqual([
      ['make one', layers[0]!.diffId],
      ['make two', layers[1]!.diffId],
    ]);
    const usage = await service.usage();
    expect(usage).toMatchObject({ images: 2, layers: 2, sharedBytes: layers[0]!.bytes, uniqueBytes: layers[1]!.bytes });
    expect(usage.each.find((one) => one.digest === other.digest)!.uniqueBytes).toBe(layers[1]!.bytes);
  });
});

describe('a name', () => {
  it('is given whole, and taken alone while the image has others', async () => {
    expect((await service.tag('team/app', 'mine')).tags).toEqual(['hub.example/team/app:latest', 'mine:latest']);
    expect(await service.remove('team/app')).toMatchObject({
      untagged: ['hub.example/team/app:latest'],
      removed: null,
    });
    expect(await service.remove('mine')).toMatchObject({ untagged: ['mine:latest'], removed: digest, layers: 1 });
    expect(readdirSync(join(dir, 'layers'))).toEqual([]);
  });

  it('goes with all others when the image is removed by its digest', async () => {
    await service.tag(digest, 'mine:v1');
    expect((await service.remove(digest.slice(7, 19))).untagged.toSorted()).toEqual([
      'hub.example/team/app:latest',
      'mine:v1',
    ]);
  });

  it.each(['node24', 'functions/x:y', '', 'A', 'a b', '../x', `sha256:${'a'.repeat(64)}`, 'a@b', 'x'.repeat(300)])(
    '%j can not be given',
    async (name) => {
      await expect(service.tag('team/app', name)).rejects.toMatchObject({
        code: expect.stringMatching(/invalid_name|conflict/),
      });
    },
  );

  it('of the platform stays, whatever is asked', async () => {
    await store.tag(digest, 'node24');
    for (const name of ['node24', digest])
      await expect(service.remove(name)).rejects.toMatchObject({ code: 'conflict' });
    expect((await service.prune({ all: true, buildCache: false })).untagged).toEqual(['hub.example/team/app:latest']);
    expect((await store.get('node24')).digest).toBe(digest);
  });

  it('to push under is the one that was typed, the only one, or has to be said', async () => {
    await service.tag(digest, 'other.example/a:v1');
    const transfer = { onEvent: () => {}, signal: AbortSignal.abort(new Error('not sent')) };
    await expect(service.push(digest, undefined, transfer)).rejects.toMatchObject({ code: 'invalid_request' });
    await expect(service.push('other.example/a:v1', undefined, transfer)).rejects.toThrow('not sent');
  });
});

describe('prune', () => {
  it('takes what nothing refers to, and with all what has names', async () => {
    await put('loose:v1', 'two');
    await store.untag('loose:v1');
    store.forget([...(await store.list()).map((one) => one.digest)]);
    expect(await service.prune({ all: false, buildCache: false })).toMatchObject({ untagged: [] });
    expect(await store.find('hub.example/team/app:latest')).not.toBeNull();
    const { untagged } = await service.prune({ all: true, buildCache: false });
    expect(untagged).toEqual(['hub.example/team/app:latest']);
    expect(await store.list()).toEqual([]);
  });
});
