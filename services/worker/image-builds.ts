/** `wafer build`: reads the context that was sent, builds it, and forgets it. */
import { WaferError } from '../core/errors.ts';
import { readSource } from '../core/functions/source/index.ts';
import type { ImageBuilds } from '../core/images/dockerfile/builds.ts';
import { BUILD_CACHE_PREFIX, createImageBuilder } from '../core/images/dockerfile/index.ts';
import type { Image, ImageStore } from '../core/images/types.ts';
import { type BaseImages, toolsTag } from './base-images/index.ts';
import type { BuildSandboxes } from './builder/build-sandbox.ts';
import { DEPENDENCY_TAG_PREFIX } from './builder/dependencies.ts';
import { createStepRunner } from './builder/step-runner.ts';
import { VERSION_TAG_PREFIX } from './publish-version.ts';

export interface ImageBuildsDeps {
  images: ImageStore;
  sandboxes: BuildSandboxes;
  bases: Pick<BaseImages, 'list'>;
  /** `infra/base-images`. */
  basesDir: string;
  tmpDir: string;
}

const MIB = 1024 * 1024;
/** A context is larger than a function: what is sent is limited by the API. */
const CONTEXT_LIMITS = { compressedBytes: 1024 * MIB, unpackedBytes: 2048 * MIB, entries: 100_000 };
const RESERVED_PREFIXES = [VERSION_TAG_PREFIX, DEPENDENCY_TAG_PREFIX, BUILD_CACHE_PREFIX, 'build-mount/', 'build/'];

export function createImageBuilds(deps: ImageBuildsDeps): ImageBuilds {
  const { images, sandboxes, bases, basesDir, tmpDir } = deps;
  const builder = createImageBuilder({
    images,
    tmpDir,
    runner: createStepRunner({ sandboxes, basesDir }),
    resolveImage: (reference) => resolveImage(images, reference),
    assertTag: (tag) => assertFree(tag, bases),
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
  };
}

/** A tag of the store, `:latest` or not. */
async function resolveImage(images: ImageStore, reference: string): Promise<Image> {
  const isInternal = [BUILD_CACHE_PREFIX, 'build-mount/', DEPENDENCY_TAG_PREFIX].some((prefix) =>
    reference.startsWith(prefix),
  );
  const found = isInternal ? null : await images.find(reference);
  return found ?? images.get(reference.replace(/:latest$/, ''));
}

/** Base images and the platform's own names can not be taken over. */
function assertFree(tag: string, bases: Pick<BaseImages, 'list'>): void {
  const own = bases.list().flatMap(({ name }) => [name, toolsTag(name)]);
  const isOwn = own.includes(tag) || RESERVED_PREFIXES.some((prefix) => tag.startsWith(prefix));
  if (!isOwn && /^[A-Za-z0-9_][A-Za-z0-9._:@+/-]{0,254}$/.test(tag) && !tag.startsWith('sha256:')) return;
  throw new WaferError(
    'invalid_name',
    isOwn
      ? `The name ${JSON.stringify(tag.slice(0, 100))} belongs to the platform.`
      : `${JSON.stringify(tag.slice(0, 100))} can not be the name of an image.`,
    { hint: 'Choose another one, like app or app:1.0.' },
  );
}
