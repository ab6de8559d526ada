/** What people and programs are told about images: parents, steps, shared and own bytes. */
import { chainIds } from './digest.ts';
import { isOnlyBuildCache } from './reserved.ts';
import type { Digest, Image, ImageConfig } from './types.ts';

export interface LayerDetail {
  /** Diff id: digest of the uncompressed tar. */
  diffId: Digest;
  /** Diff id of the layer below; null for the lowest. */
  parent: Digest | null;
  /** Names the whole stack up to here. */
  chainId: Digest;
  /** Compressed blob. */
  blob: Digest;
  mediaType: string;
  bytes: number;
  tarBytes: number;
  createdBy: string;
  createdAt: number;
}

export interface HistoryStep {
  createdBy: string;
  created: string | null;
  comment: string | null;
  /** Diff id of the layer that the step made; null when it made none. */
  layer: Digest | null;
  parent: Digest | null;
  bytes: number;
}

export interface ImageDetail {
  digest: Digest;
  tags: string[];
  mediaType: string;
  architecture: string;
  os: string;
  created: string | null;
  config: ImageConfig['config'];
  bytes: number;
  layers: LayerDetail[];
  history: HistoryStep[];
}

export interface StoreUsage {
  /** Without those that only the build cache names. */
  images: number;
  layers: number;
  /** All blobs on disk. */
  blobsBytes: number;
  /** Uncompressed tars of all layers, each once: about what the unpacked layers take. */
  unpackedBytes: number;
  /** In blobs of layers that only one image has, and that several have. Compressed. */
  uniqueBytes: number;
  sharedBytes: number;
  /** Layers of build steps and cache mounts. `onlyBytes`: what goes when it is pruned. */
  buildCache: { entries: number; bytes: number; onlyBytes: number };
  each: { digest: Digest; tags: string[]; bytes: number; sharedBytes: number; uniqueBytes: number }[];
}

function layersOf({ layers }: Image): LayerDetail[] {
  const chain = chainIds(layers.map(({ diffId }) => diffId));
  return layers.map(({ diffId, blob, tarBytes, createdBy, createdAt }, at) => ({
    diffId,
    parent: layers[at - 1]?.diffId ?? null,
    chainId: chain[at] ?? diffId,
    blob: blob.digest,
    mediaType: blob.mediaType,
    bytes: blob.size,
    tarBytes,
    createdBy,
    createdAt,
  }));
}

/** A history may be shorter than the layers, or missing: then the layers speak for themselves. */
function historyOf({ config }: Image, layers: readonly LayerDetail[]): HistoryStep[] {
  let next = 0;
  const step = (entry: Partial<ImageConfig['history'][number]>, layer: LayerDetail | undefined): HistoryStep => ({
    createdBy: entry.created_by ?? layer?.createdBy ?? '',
    created: entry.created ?? null,
    comment: entry.comment ?? null,
    layer: layer?.diffId ?? null,
    parent: layer?.parent ?? null,
    bytes: layer?.bytes ?? 0,
  });
  const steps = config.history.map((entry) => step(entry, entry.empty_layer === true ? undefined : layers[next++]));
  return [...steps, ...layers.slice(next).map((layer) => step({}, layer))];
}

export function describeImage(image: Image, mediaType: string): ImageDetail {
  const { digest, tags, config } = image;
  const layers = layersOf(image);
  return {
    digest,
    tags,
    mediaType,
    architecture: config.architecture,
    os: config.os,
    created: config.created ?? null,
    config: config.config,
    bytes: layers.reduce((sum, { bytes }) => sum + bytes, 0),
    layers,
    history: historyOf(image, layers),
  };
}

const sum = (numbers: Iterable<number>): number => [...numbers].reduce((total, one) => total + one, 0);

/** Unique blobs of an image: a layer that is in it twice is stored once. */
const blobsOf = (image: Image) => new Map(image.layers.map(({ blob }) => [blob.digest, blob.size]));

function describeBuildCache(cached: readonly Image[], others: ReadonlyMap<Digest, number>): StoreUsage['buildCache'] {
  const blobs = [...new Map(cached.flatMap((image) => [...blobsOf(image)]))];
  const only = blobs.filter(([blob]) => !others.has(blob));
  const bytes = (some: typeof blobs) => sum(some.map(([, size]) => size));
  return { entries: cached.length, bytes: bytes(blobs), onlyBytes: bytes(only) };
}

export function describeUsage(all: readonly Image[], blobsBytes: number): StoreUsage {
  const images = all.filter((image) => !isOnlyBuildCache(image));
  const uses = new Map<Digest, number>();
  for (const blob of images.flatMap((image) => [...blobsOf(image).keys()])) uses.set(blob, (uses.get(blob) ?? 0) + 1);
  const layers = new Map(all.flatMap((image) => image.layers.map((layer) => [layer.diffId, layer] as const)));
  const sizes = new Map(images.flatMap((image) => [...blobsOf(image)]));
  const isShared = (blob: Digest) => (uses.get(blob) ?? 0) > 1;
  return {
    images: images.length,
    layers: layers.size,
    blobsBytes,
    unpackedBytes: sum([...layers.values()].map(({ tarBytes }) => tarBytes)),
    uniqueBytes: sum([...sizes].map(([blob, size]) => (isShared(blob) ? 0 : size))),
    sharedBytes: sum([...sizes].map(([blob, size]) => (isShared(blob) ? size : 0))),
    buildCache: describeBuildCache(all.filter(isOnlyBuildCache), sizes),
    each: images.map((image) => {
      const blobs = [...blobsOf(image)];
      const sharedBytes = sum(blobs.map(([blob, size]) => (isShared(blob) ? size : 0)));
      const bytes = sum(blobs.map(([, size]) => size));
      return { digest: image.digest, tags: image.tags, bytes, sharedBytes, uniqueBytes: bytes - sharedBytes };
    }),
  };
}
