/**
 * Layers of steps by the key of the step. An entry is an image with that one layer and a tag, so that it
 * outlives restarts and garbage collection like any other image.
 */
import { createHash } from 'node:crypto';
import { OWN_PREFIX } from '../reserved.ts';
import type { ImageStore, LayerInfo } from '../types.ts';

const BUILD_CACHE_PREFIX = OWN_PREFIX.stepCache;
/** Beyond it the oldest go. */
const MAX_ENTRIES = 512;

/** Not ambiguous: every part is quoted. */
export const stepKey = (...parts: readonly (string | number | null | readonly string[])[]): string =>
  createHash('sha256').update(JSON.stringify(parts)).digest('hex');

export interface StepCache {
  /** Null for a step that is known to make no layer; undefined when it is not known. */
  find(key: string): Promise<LayerInfo | null | undefined>;
  /** Known at once; written behind the next step, which need not wait for a disk. */
  put(key: string, layer: LayerInfo | null): void;
  /** All of it is written. The build holds its layers until then. @throws why the first one could not be */
  settled(): Promise<void>;
  prune(): Promise<void>;
}

export function createStepCache(images: ImageStore): StepCache {
  const made = new Map<string, LayerInfo | null>();
  const writes: Promise<unknown>[] = [];
  return {
    async find(key) {
      const known = made.get(key);
      if (known !== undefined) return known;
      const image = await images.find(BUILD_CACHE_PREFIX + key).catch(() => null); // damaged: as good as none
      return image === null ? undefined : (image.layers[0] ?? null);
    },
    put(key, layer) {
      made.set(key, layer);
      const layers = layer === null ? [] : [layer.diffId];
      const write = images.putImage({ layers, config: {}, tag: BUILD_CACHE_PREFIX + key });
      write.catch(() => undefined); // told by `settled`
      writes.push(write);
    },
    settled: async () => void (await Promise.all(writes)),
    async prune() {
      const all = await images.list();
      const entries = all.flatMap((image) =>
        image.tags
          .filter((tag) => tag.startsWith(BUILD_CACHE_PREFIX))
          .map((tag) => ({ tag, age: image.layers[0]?.createdAt ?? 0 })),
      );
      if (entries.length <= MAX_ENTRIES) return;
      entries.sort((a, b) => a.age - b.age);
      for (const { tag } of entries.slice(0, entries.length - MAX_ENTRIES)) await images.untag(tag);
    },
  };
}
