/** Which images and functions stand on which layers: every stack of layers once, as a tree by its chain ids. */
import { chainIds } from './digest.ts';
import { isOnlyBuildCache } from './reserved.ts';
import type { Digest, Image } from './types.ts';

/** A layer at its place: the same layer over another one is another place. */
export interface TreeLayer {
  /** Names the place. */
  chainId: Digest;
  /** Chain id of the layer below; null at the bottom. */
  parent: Digest | null;
  diffId: Digest;
  /** Compressed, and as a tar. */
  bytes: number;
  tarBytes: number;
  createdBy: string;
  /** Images that have it, here or further up. */
  images: number;
}

export interface TreeImage {
  digest: Digest;
  tags: string[];
  /** Versions of functions that are this image. */
  functions: { name: string; version: number }[];
  /** Chain id of its uppermost layer; null for an image without layers. */
  top: Digest | null;
  layers: number;
  bytes: number;
  /** Compressed bytes that go when it goes. */
  ownBytes: number;
}

export interface ImageTree {
  /** Parents before children. */
  layers: TreeLayer[];
  images: TreeImage[];
}

/** A version of a function, as far as images care. */
export interface VersionOfImage {
  functionName: string;
  number: number;
  image: Digest;
}

function addLayers(layers: Map<Digest, TreeLayer>, image: Image): void {
  const chain = chainIds(image.layers.map(({ diffId }) => diffId));
  for (const [at, { diffId, blob, tarBytes, createdBy }] of image.layers.entries()) {
    const chainId = chain[at] ?? diffId;
    const known = layers.get(chainId);
    if (known !== undefined) known.images += 1;
    else {
      const parent = chain[at - 1] ?? null;
      layers.set(chainId, { chainId, parent, diffId, bytes: blob.size, tarBytes, createdBy, images: 1 });
    }
  }
}

function describe(image: Image, uses: Map<Digest, number>, versions: readonly VersionOfImage[]): TreeImage {
  const { digest, tags, layers } = image;
  const blobs = new Map(layers.map(({ diffId, blob }) => [diffId, blob.size]));
  const own = [...blobs].filter(([diffId]) => uses.get(diffId) === 1);
  const sum = (pairs: readonly (readonly [Digest, number])[]) => pairs.reduce((total, [, size]) => total + size, 0);
  return {
    digest,
    tags,
    functions: versions
      .filter((one) => one.image === digest)
      .map(({ functionName, number }) => ({ name: functionName, version: number }))
      .sort((a, b) => (a.name === b.name ? a.version - b.version : a.name < b.name ? -1 : 1)),
    top: chainIds(layers.map(({ diffId }) => diffId)).at(-1) ?? null,
    layers: layers.length,
    bytes: sum([...blobs]),
    ownBytes: sum(own),
  };
}

/** `only`: an image; then the tree of those that share a layer with it. The build cache is left out. */
export function describeTree(
  all: readonly Image[],
  versions: readonly VersionOfImage[],
  only: Digest | null,
): ImageTree {
  const shown = all.filter((image) => !isOnlyBuildCache(image));
  const uses = new Map<Digest, number>();
  for (const image of shown)
    for (const diffId of new Set(image.layers.map((layer) => layer.diffId)))
      uses.set(diffId, (uses.get(diffId) ?? 0) + 1);
  const bottom = only === null ? undefined : all.find(({ digest }) => digest === only)?.layers[0]?.diffId;
  const isWanted = ({ digest, layers }: Image) =>
    only === null || digest === only || (bottom !== undefined && layers[0]?.diffId === bottom);
  const wanted = [...shown, ...all.filter((image) => isOnlyBuildCache(image) && image.digest === only)].filter(
    isWanted,
  );
  const layers = new Map<Digest, TreeLayer>();
  for (const image of wanted) addLayers(layers, image);
  return { layers: [...layers.values()], images: wanted.map((image) => describe(image, uses, versions)) };
}
