/** Images: documents in `blobs/`, names in `index.json`. An image whose manifest is there has all its layers. */
import { WaferError } from '../errors.ts';
import type { Blobs } from './blobs.ts';
import { digestOf } from './digest.ts';
import { createdByOf, type Manifest, makeConfig, makeManifest, parseConfig, parseManifest } from './documents.ts';
import type { LayerDisk } from './layer-disk.ts';
import type { Layers } from './layers.ts';
import { eachLimited } from './parallel.ts';
import { type Descriptor, type Digest, type Image, type ImageConfig, type LayerInfo, MEDIA } from './types.ts';

/** Names of this store, and whole references: a registry may be an IPv6 address in brackets. The longest is a repository of 255 and a tag of 128. */
const TAG = /^[A-Za-z0-9_[][A-Za-z0-9._:@+/\]-]{0,399}$/;
/** Overlayfs takes 500 lower layers; far fewer are ever honest. */
export const MAX_LAYERS = 128;

export interface NewImage {
  layers: Digest[];
  config: ImageConfig['config'];
  tag?: string;
  annotations?: Record<string, string>;
  history?: ImageConfig['history'];
  created?: string;
  author?: string;
}

/** @throws WaferError `invalid_name` */
export function assertTag(tag: string): void {
  if (TAG.test(tag) && !tag.startsWith('sha256:')) return;
  throw new WaferError('invalid_name', `${JSON.stringify(tag.slice(0, 100))} can not be the name of an image.`, {
    hint: 'Choose one like app or app:1.0.',
  });
}

export const imageNotFound = (reference: string) =>
  new WaferError('image_not_found', `There is no image ${JSON.stringify(reference.slice(0, 200))}.`);

/** The manifest with this digest; null when there is none, or the blob is something else. */
export async function readManifest(blobs: Blobs, digest: Digest): Promise<Manifest | null> {
  const bytes = await blobs.readDocument(digest);
  return bytes === null ? null : parseManifest(bytes);
}

export async function readConfig(blobs: Blobs, manifest: Manifest): Promise<ImageConfig> {
  const bytes = await blobs.readDocument(manifest.config.digest);
  if (bytes !== null) return parseConfig(bytes, manifest);
  throw new WaferError('digest_mismatch', `The store has lost the image config ${manifest.config.digest}.`);
}

/** @throws WaferError `digest_mismatch` when a part is damaged or lost */
export async function loadImage(blobs: Blobs, layers: LayerDisk, digest: Digest): Promise<Omit<Image, 'tags'> | null> {
  const manifest = await readManifest(blobs, digest);
  if (manifest === null) return null;
  const config = await readConfig(blobs, manifest);
  const found = await Promise.all(config.rootfs.diff_ids.map((diffId) => layers.get(diffId)));
  const infos = manifest.layers.map((blob, index): LayerInfo => {
    const info = found[index];
    if (info) return { ...info, blob };
    throw new WaferError('digest_mismatch', `Image ${digest} has lost its layer ${config.rootfs.diff_ids[index]}.`, {
      hint: 'Start Wafer again: it restores layers from their blobs. If that fails, deploy again.',
    });
  });
  return { digest, config, layers: infos };
}

async function layersOf(layers: LayerDisk, diffIds: readonly Digest[]): Promise<LayerInfo[]> {
  if (diffIds.length > MAX_LAYERS)
    throw new WaferError('invalid_request', `An image has at most ${MAX_LAYERS} layers.`);
  return Promise.all(
    diffIds.map(async (diffId) => {
      const info = await layers.get(diffId);
      if (info === null) throw new WaferError('not_found', `The store has no layer ${diffId}.`);
      return info;
    }),
  );
}

function documentOf(mediaType: string, content: ImageConfig | Manifest): { bytes: Buffer; descriptor: Descriptor } {
  const bytes = Buffer.from(JSON.stringify(content));
  return { bytes, descriptor: { mediaType, digest: digestOf(bytes), size: bytes.length } };
}

export interface Written {
  manifest: Descriptor;
  /** As `loadImage` would read it. */
  image: Omit<Image, 'tags'>;
}

/** Both documents at once: nothing names an image before it is in the index. @throws WaferError `not_found` when a layer is missing */
export async function writeImage(blobs: Blobs, disk: LayerDisk, image: NewImage): Promise<Written> {
  const layers = await layersOf(disk, image.layers);
  const config = documentOf(MEDIA.config, makeConfig(layers, image));
  const content = makeManifest(config.descriptor, layers, image.annotations);
  const manifest = documentOf(MEDIA.manifest, content);
  await eachLimited([config, manifest], 2, ({ bytes, descriptor }) => blobs.put(bytes, descriptor.mediaType));
  const { digest } = manifest.descriptor;
  return { manifest: manifest.descriptor, image: { digest, config: parseConfig(config.bytes, content), layers } };
}

/** Layers that were lost (a record, an unpacked directory) come back from their blobs. */
export async function restoreImage(blobs: Blobs, disk: LayerDisk, layers: Layers, digest: Digest): Promise<number> {
  const manifest = await readManifest(blobs, digest);
  if (manifest === null) throw imageNotFound(digest);
  const config = await readConfig(blobs, manifest);
  const createdBy = createdByOf(config);
  let restored = 0;
  for (const [index, blob] of manifest.layers.entries()) {
    const diffId = config.rootfs.diff_ids[index] ?? '';
    if ((await disk.get(diffId)) !== null) continue;
    await layers.restore(diffId, blob, createdBy[index] ?? 'unknown');
    restored += 1;
  }
  return restored;
}
