/** `wafer build`, and the builds of deploys: reads the context that was sent, builds it, and forgets it. */
import { randomBytes } from 'node:crypto';
import { WaferError } from '../../core/errors.ts';
import { readSource } from '../../core/functions/source/index.ts';
import type { ImageBuilds } from '../../core/images/dockerfile/builds.ts';
import { createImageBuilder, type ImageBuildRequest, type OnBuildEvent } from '../../core/images/dockerfile/index.ts';
import { imageNotFound } from '../../core/images/images.ts';
import { findByName, nameForTag } from '../../core/images/names.ts';
import type { RemoteFiles } from '../../core/images/remote-files.ts';
import { type ImageNames, isBuildCache, OWN_PREFIX } from '../../core/images/reserved.ts';
import type { Image, ImageStore } from '../../core/images/types.ts';
import type { BuildSandboxes } from '../builder/build-sandbox.ts';
import { createStepRunner } from '../builder/step-runner.ts';

export interface ImageBuildsDeps {
  images: ImageStore;
  sandboxes: BuildSandboxes;
  names: ImageNames;
  /** For ADD. */
  remotes: RemoteFiles;
  /** `infra/base-images`. */
  basesDir: string;
  tmpDir: string;
}

const MIB = 1024 * 1024;
/** A context is larger than a function: what is sent is limited by the API. */
export const CONTEXT_LIMITS = { compressedBytes: 1024 * MIB, unpackedBytes: 2048 * MIB, entries: 100_000 };

export interface ContextBuilds extends ImageBuilds {
  /** From a context that was read already; its caller closes it. `use` gets the image, which is its own to keep. */
  buildContext<T>(
    request: Omit<ImageBuildRequest, 'tags'>,
    onEvent: OnBuildEvent,
    use: (image: Image) => Promise<T>,
  ): Promise<T>;
}

export function createImageBuilds(deps: ImageBuildsDeps): ContextBuilds {
  const { images, sandboxes, names, remotes, basesDir, tmpDir } = deps;
  const ownTags = new Set<string>();
  const builder = createImageBuilder({
    images,
    tmpDir,
    runner: createStepRunner({ sandboxes, basesDir }),
    remotes,
    resolveImage: (reference) => resolveImage(images, names, reference),
    nameForTag: (tag) => (ownTags.has(tag) ? tag : freeName(tag, names)),
  });
  return {
    async build({ source, signal, ...options }, onEvent) {
      const context = await readSource(source, { tmpDir, context: true, ...CONTEXT_LIMITS }, signal);
      try {
        return await builder.build({ ...options, context, signal }, onEvent);
      } finally {
        await context.close();
      }
    },
    async buildContext(request, onEvent, use) {
      const tag = `${OWN_PREFIX.deploying}${randomBytes(8).toString('hex')}`;
      ownTags.add(tag);
      try {
        const { digest } = await builder.build({ ...request, tags: [tag] }, onEvent);
        return await use(await images.get(digest));
      } finally {
        ownTags.delete(tag);
        await images.untag(tag);
      }
    },
  };
}

/** By name, with or without `:latest`, or by digest. */
async function resolveImage(images: ImageStore, names: ImageNames, reference: string): Promise<Image> {
  const isInternal = isBuildCache(reference) || names.ownerOf(reference) === 'dependencies';
  if (isInternal) throw imageNotFound(reference);
  // A base image has no tag; everything else that has none is :latest.
  const plain = reference.replace(/:latest$/, '');
  const found = (await images.find(`${plain}:latest`)) ?? (await images.find(plain));
  return found ?? (await findByName(images, reference, null)).image;
}

/** Base images and the platform's own names can not be taken over. */
function freeName(tag: string, names: ImageNames): string {
  const whole = nameForTag(tag);
  if (names.mayTake(tag) && names.mayTake(whole)) return whole;
  throw new WaferError('invalid_name', `The name ${JSON.stringify(tag.slice(0, 100))} belongs to the platform.`, {
    hint: 'Choose another one, like app or app:1.0.',
  });
}
