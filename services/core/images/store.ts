import { WaferError } from '../errors.ts';
import { createBlobs } from './blobs.ts';
import { collect } from './collect.ts';
import { hexOf, isDigest } from './digest.ts';
import { createContent, forgetPushed } from './distribution/content.ts';
import { openRecords } from './distribution/records.ts';
import { parseManifest } from './documents.ts';
import { createTempFiles } from './durable.ts';
import { createHolds } from './holds.ts';
import { openIndex } from './image-index.ts';
import { assertTag, imageNotFound, loadImage, type NewImage, restoreImage, writeImage } from './images.ts';
import { createImporter } from './import.ts';
import { createLayerDisk } from './layer-disk.ts';
import { createLayers } from './layers.ts';
import { layoutOf, makeLayout, writeLayoutFiles } from './layout.ts';
import { createKeyedMutex, createMutex, createShared } from './mutex.ts';
import { createShareTexts } from './shared-texts.ts';
import type { Descriptor, Digest, Image, ImageStore, LayerUnpacker } from './types.ts';

export interface ImageStoreOptions {
  /** The store's directory; made when missing. One process at a time: the platform's lock file sees to that. */
  dir: string;
  unpacker: LayerUnpacker;
  log: { warn(details: object, message: string): void; info(details: object, message: string): void };
  /** Only tests give one. `now` is wall time in ms, `monotonic` never goes back. */
  clock?: { now(): number; monotonic(): number };
  /** Time that unpacking one layer may take; only tests give it. */
  unpackMs?: number;
}

/**
 * How long a layer or image that was just added, or found by `addLayer`, is kept although
 * nothing refers to it yet: time to put the layer into an image, or to lease it.
 */
export const GRACE_MS = 10 * 60 * 1000;

const SYSTEM_CLOCK = { now: () => Date.now(), monotonic: () => performance.now() };

async function openParts({ dir, unpacker, clock = SYSTEM_CLOCK, unpackMs }: ImageStoreOptions) {
  const layout = layoutOf(dir);
  const temp = createTempFiles(layout.tmp);
  await makeLayout(layout);
  await temp.clean();
  await writeLayoutFiles(layout, temp);
  const blobs = createBlobs(layout, temp);
  const disk = createLayerDisk(layout, blobs, temp, unpacker, unpackMs);
  const holds = createHolds(clock.monotonic, GRACE_MS);
  const exclusive = createMutex();
  const shared = { disk, blobs, temp, holds, exclusive, oneAtATime: createKeyedMutex(), now: clock.now };
  const layers = createLayers(shared);
  return {
    importer: createImporter(shared),
    temp,
    blobs,
    disk,
    holds,
    exclusive,
    layers,
    unpacker,
    index: await openIndex(layout, temp),
    records: await openRecords(layout.repositories, temp),
    uploadsDir: layout.uploads,
  };
}

type Parts = Awaited<ReturnType<typeof openParts>>;

/** A damaged image must not keep the others from being served. */
async function restoreAll({ blobs, disk, layers, index }: Parts, log: ImageStoreOptions['log']): Promise<void> {
  for (const image of index.digests()) {
    try {
      const restored = await restoreImage(blobs, disk, layers, image);
      if (restored > 0) log.info({ image, restored }, 'restored layers of an image from their blobs');
    } catch (error) {
      log.warn({ image, err: error }, 'an image in the store is damaged');
    }
  }
}

/** Bottom first. Of a layer that is there twice the upper one counts: overlayfs refuses one directory twice. */
function layerNames(image: Image): string[] {
  const names = image.layers.map((layer) => hexOf(layer.diffId));
  return names.filter((name, index) => names.lastIndexOf(name) === index);
}

async function usage({ blobs, disk, index }: Parts) {
  const files = await blobs.list();
  const blobsBytes = files.reduce((total, file) => total + file.size, 0);
  return { blobsBytes, layers: (await disk.list()).recorded.length, images: index.digests().length };
}

/** Looks images up. What was read once is kept: an image never changes, but its tags do. */
function createLookup({ blobs, disk, index }: Parts, log: ImageStoreOptions['log']) {
  const cache = new Map<Digest, Omit<Image, 'tags'>>();
  const shareTexts = createShareTexts();
  let removals = 0;

  const resolve = (reference: string) => (isDigest(reference) ? reference : index.byTag(reference));

  const tagged = (image: Omit<Image, 'tags'>): Image => ({ ...image, tags: index.tagsOf(image.digest) });

  const add = (image: Omit<Image, 'tags'>): Image => {
    const known = cache.get(image.digest);
    if (known !== undefined) return tagged(known);
    shareTexts(image);
    cache.set(image.digest, image);
    return tagged(image);
  };

  const find = async (reference: string): Promise<Image | null> => {
    const digest = resolve(reference);
    if (digest === undefined) return null;
    const before = removals;
    const known = cache.get(digest);
    if (known !== undefined) return tagged(known);
    const image = await loadImage(blobs, disk, digest);
    if (image === null) return null;
    // Collected while it was read: not to be found a second time.
    return before === removals ? add(image) : tagged(image);
  };

  return {
    resolve,
    find,
    /** One that was just written, under the lock that keeps collection away. */
    add,
    async get(reference: string): Promise<Image> {
      const image = await find(reference);
      if (image === null) throw imageNotFound(reference);
      return image;
    },
    async list(): Promise<Image[]> {
      const skip = (image: Digest) => (error: unknown) => {
        log.warn({ image, err: error }, 'an image in the store is damaged');
        return null;
      };
      const found = await Promise.all(index.digests().map((digest) => find(digest).catch(skip(digest))));
      return found.filter((image) => image !== null);
    },
    forget(digest: Digest) {
      removals += 1;
      cache.delete(digest);
    },
  };
}

async function describeManifest({ blobs }: Parts, digest: Digest): Promise<Descriptor> {
  const bytes = await blobs.readDocument(digest);
  const manifest = bytes === null ? null : parseManifest(bytes);
  if (bytes === null || manifest === null) throw imageNotFound(digest);
  return { mediaType: manifest.mediaType, digest, size: bytes.length };
}

/**
 * Opens or makes the store; removes temporaries of a crash, and restores lost layers of
 * tagged images from their blobs.
 * @throws WaferError `disk_full`, `digest_mismatch` (index.json is damaged)
 */
export async function openImageStore(options: ImageStoreOptions): Promise<ImageStore> {
  const parts = await openParts(options);
  const { blobs, disk, holds, exclusive, layers, importer, index } = parts;
  await restoreAll(parts, options.log);
  const lookup = createLookup(parts, options.log);

  const putImage = (image: NewImage) =>
    exclusive(async () => {
      if (image.tag !== undefined) assertTag(image.tag);
      const written = await writeImage(blobs, disk, image);
      holds.refresh(written.manifest.digest);
      if (image.tag !== undefined) await index.set(image.tag, written.manifest);
      return lookup.add(written.image);
    });

  const lease = (references: string[]) =>
    holds.hold(
      references.map((reference) => {
        const digest = lookup.resolve(reference);
        if (digest === undefined) throw imageNotFound(reference);
        return digest;
      }),
    );

  const importImage: ImageStore['importImage'] = async (image) => {
    image.tags.forEach(assertTag);
    return importer.run(image, (descriptor) =>
      exclusive(async () => {
        for (const tag of image.tags) await index.set(tag, descriptor);
        return lookup.get(descriptor.digest);
      }),
    );
  };

  const collectAll = () => collect({ ...parts, indexed: index.digests(), onImageRemoved: lookup.forget });
  return {
    importImage,
    async document(digest) {
      const bytes = await blobs.readDocument(digest);
      if (bytes === null) throw new WaferError('not_found', `The store has no document ${digest}.`);
      return bytes;
    },
    addLayer: layers.add,
    // Behind a running collection: a layer that it is removing is not there.
    layer: (diffId) => exclusive(() => disk.get(diffId)),
    exportLayer: layers.export,
    putImage,
    get: lookup.get,
    find: lookup.find,
    list: lookup.list,
    tag: (reference, tag) =>
      exclusive(async () => {
        assertTag(tag);
        await index.set(tag, await describeManifest(parts, (await lookup.get(reference)).digest));
      }),
    untag: (tag) =>
      exclusive(async () => {
        const digest = index.byTag(tag);
        await index.unset(tag);
        if (digest !== undefined) await forgetPushed(parts, tag, digest);
      }),
    content: createContent(parts),
    lease,
    forget: (digests) => digests.forEach(holds.forget),
    collectGarbage: createShared(exclusive, collectAll),
    usage: () => usage(parts),
    layerNames,
    readBlob: blobs.read,
  };
}
