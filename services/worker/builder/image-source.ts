/** The image that a deploy names: from the store, else from its registry. */
import { WaferError } from '../../core/errors.ts';
import { findByName } from '../../core/images/names.ts';
import type { OnTransfer } from '../../core/images/progress.ts';
import { parseReference, type Reference } from '../../core/images/reference.ts';
import type { RegistryClient } from '../../core/images/registry/client.ts';
import { pullImage } from '../../core/images/registry/pull.ts';
import type { Image, ImageStore } from '../../core/images/types.ts';

export interface ImageSourceDeps {
  images: ImageStore;
  client: RegistryClient;
  defaultRegistry: string | null;
}

export interface FoundImage {
  image: Image;
  /** The name that the pull gave it; null when it was there. */
  pulledAs: string | null;
}

export interface ImageSource {
  /** Of the store. @throws WaferError `conflict` for the beginning of several digests */
  find(name: string): Promise<Image | null>;
  /** @throws WaferError `image_not_found` for a name without a registry, and what a pull throws */
  pull(name: string, onEvent: OnTransfer, signal: AbortSignal): Promise<FoundImage>;
}

export function createImageSource({ images, client, defaultRegistry }: ImageSourceDeps): ImageSource {
  return {
    async find(name) {
      const at = name.indexOf('@sha256:');
      // A digest says more than the tag before it, which may have moved.
      const wanted = at === -1 ? name : name.slice(at + 1);
      try {
        return (await findByName(images, wanted, defaultRegistry)).image;
      } catch (error) {
        if (error instanceof WaferError && error.code === 'image_not_found') return null;
        throw error;
      }
    },
    async pull(name, onEvent, signal) {
      const reference = referenceOf(name, defaultRegistry);
      const { image, tag } = await pullImage(images, client, reference, { onEvent, signal });
      return { image, pulledAs: tag };
    },
  };
}

function referenceOf(name: string, defaultRegistry: string | null): Reference {
  try {
    return parseReference(name, defaultRegistry);
  } catch (cause) {
    if (!(cause instanceof WaferError && cause.code === 'invalid_name')) throw cause;
    throw new WaferError(
      'image_not_found',
      `There is no image ${JSON.stringify(name.slice(0, 200))} in the store, and its name is not one to pull by.`,
      { cause, hint: cause.hint ?? 'wafer images lists the images there are.' },
    );
  }
}
