/** The last step of a deploy: layers -> image -> version. Seen by others whole or not at all. */
import { WaferError } from '../../core/errors.ts';
import {
  LABEL_BASE,
  LABEL_BASE_LAYERS,
  LABEL_CONFIG,
  LABEL_FUNCTION,
  LABEL_RUNTIME,
} from '../../core/functions/image-config.ts';
import type { FunctionConfig } from '../../core/functions/schema.ts';
import type { FunctionStore, FunctionVersion, Preload } from '../../core/functions/types.ts';
import { OWN_PREFIX } from '../../core/images/reserved.ts';
import type { Image, ImageStore, LayerInfo } from '../../core/images/types.ts';
import type { BaseImage } from '../base-images/index.ts';
import { dependencyTag } from '../builder/dependencies.ts';

export const VERSION_TAG_PREFIX = OWN_PREFIX.version;
/** Tag of a version's image; the same content has the same one. */
const versionTag = (name: string, digest: string): string => `${VERSION_TAG_PREFIX}${name}@${digest.slice(7, 19)}`;

export interface Built {
  /** Over the base, bottom first: dependencies (if any), code. */
  layers: LayerInfo[];
  codeBytes: number;
  addedBytes: number;
  dependencyKey: string | null;
  preload: Preload | undefined;
}

interface Stores {
  images: ImageStore;
  functions: FunctionStore;
  assertConfig: (config: FunctionConfig) => Promise<void>;
}

/** A version whose code was built over a base image. Failures as in `publishImage`. */
export async function publishVersion(
  name: string,
  config: FunctionConfig,
  base: BaseImage,
  built: Built,
  stores: Stores,
): Promise<FunctionVersion> {
  const image = await putVersionImage(name, config, base, built, stores.images);
  const { dependencyKey, codeBytes, addedBytes, preload } = built;
  const version = {
    functionName: name,
    image: image.digest,
    base: base.name,
    config,
    codeBytes,
    addedBytes,
    ...(preload === undefined ? {} : { preload }),
  };
  return publishImage(version, stores, async (added) => {
    if (dependencyKey !== null) await tagDependencies(dependencyKey, base, built, stores.images, added);
  });
}

/**
 * The image gets the tag that keeps it, then the version its number. A failure takes the tags back that were not
 * there before; garbage collection does the rest. Not when the store was lost before its answer: the version may be
 * there, and must keep its image.
 */
export async function publishImage(
  version: Parameters<FunctionStore['publish']>[0],
  { images, functions, assertConfig }: Stores,
  tagMore: (added: string[]) => Promise<void> = async () => {},
): Promise<FunctionVersion> {
  const { functionName, image } = version;
  const lease = images.lease([image]);
  const added: string[] = [];
  try {
    await assertConfig(version.config);
    await tagNew(images, image, versionTag(functionName, image), added);
    await tagMore(added);
    return await functions.publish(version);
  } catch (error) {
    if (await mayBePublished(error, functionName, image, functions)) throw error;
    for (const tag of added) await images.untag(tag);
    images.forget([image]);
    throw error;
  } finally {
    lease.release();
  }
}

async function mayBePublished(
  error: unknown,
  name: string,
  digest: string,
  functions: FunctionStore,
): Promise<boolean> {
  if (!(error instanceof WaferError && error.code === 'store_unavailable')) return false;
  return functions.versions(name).then(
    (versions) => versions.some(({ image }) => image === digest),
    (reason: unknown) => !(reason instanceof WaferError && reason.code === 'function_not_found'),
  );
}

function putVersionImage(
  name: string,
  config: FunctionConfig,
  base: BaseImage,
  built: Built,
  images: ImageStore,
): Promise<Image> {
  const labels = {
    [LABEL_BASE_LAYERS]: String(base.image.layers.length),
    [LABEL_BASE]: base.name,
    ...settingLabels(name, config),
  };
  return images.putImage({
    layers: [...base.image.layers, ...built.layers].map((layer) => layer.diffId),
    config: { Labels: labels, WorkingDir: '/function', Env: base.image.config.config.Env ?? [] },
  });
}

/** With these the image is the whole function, wherever it is deployed. */
export const settingLabels = (name: string, config: FunctionConfig): Record<string, string> => ({
  [LABEL_FUNCTION]: name,
  [LABEL_RUNTIME]: config.runtime,
  [LABEL_CONFIG]: JSON.stringify(config),
});

/** Keeps the dependency layer for other functions with the same lock file. */
async function tagDependencies(
  key: string,
  base: BaseImage,
  built: Built,
  images: ImageStore,
  added: string[],
): Promise<void> {
  const layers = [...base.image.layers, ...built.layers.slice(0, 1)].map((layer) => layer.diffId);
  const image = await images.putImage({ layers, config: {} });
  await tagNew(images, image.digest, dependencyTag(key), added);
}

async function tagNew(images: ImageStore, digest: string, tag: string, added: string[]): Promise<void> {
  if ((await images.find(tag)) === null) added.push(tag);
  await images.tag(digest, tag);
}
