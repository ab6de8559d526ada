/** The image service over a real store in a folder of the test's own; `tar` unpacks. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createImageService, type ImageService, openImageStore } from '../../services/core/images/index.ts';
import type { VersionOfImage } from '../../services/core/images/layer-tree.ts';
import { createRegistryClient } from '../../services/core/images/registry/client.ts';
import { createImageNames } from '../../services/core/images/reserved.ts';
import type { Image, ImageStore } from '../../services/core/images/types.ts';
import { makeTar, streamOf } from './make-tar.ts';
import { createTarUnpacker } from './tar-unpacker.ts';

export interface ImageLab {
  store: ImageStore;
  service: ImageService;
  /** For `tree`. */
  versions: VersionOfImage[];
  /** One layer for each set of files. */
  put(tag: string, ...layers: Parameters<typeof makeTar>[0][]): Promise<Image>;
}

interface Options {
  defaultRegistry?: string;
  insecure?: string[];
  bases?: string[];
}

export async function openImageLab(dir: string, options: Options = {}): Promise<ImageLab> {
  const tmpDir = join(dir, 'loads');
  mkdirSync(tmpDir, { recursive: true });
  const log = { warn: () => undefined, info: () => undefined };
  const store = await openImageStore({ dir, unpacker: createTarUnpacker(join(dir, 'layers')), log });
  const credentials = {
    get: async () => null,
    set: async () => {},
    remove: async () => false,
    registries: async () => [],
  };
  const versions: VersionOfImage[] = [];
  const service = createImageService({
    store,
    client: createRegistryClient({
      insecure: options.insecure ?? [],
      credentials,
      limits: { attempts: 2, backoffMs: 1 },
    }),
    credentials,
    defaultRegistry: options.defaultRegistry ?? null,
    names: createImageNames(() => options.bases ?? ['node24', 'node24-tools']),
    versions: async () => versions,
    tmpDir,
  });
  return {
    store,
    service,
    versions,
    async put(tag, ...layers) {
      const added = [];
      for (const files of layers) {
        const createdBy = `make ${Object.keys(files)[0]}`;
        added.push((await store.addLayer(streamOf(makeTar(files)), { createdBy })).diffId);
      }
      return store.putImage({ layers: added, config: { Cmd: [tag] }, tag });
    },
  };
}
