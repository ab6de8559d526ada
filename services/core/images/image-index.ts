import type { TempFiles } from './durable.ts';
import { type Layout, REF_NAME, readIndex, writeIndex } from './layout.ts';
import type { Descriptor, Digest } from './types.ts';

/** `index.json` in memory and on disk. Changes only under the store's structure lock; reads never wait. */
export interface ImageIndex {
  /** Of every image, once. */
  digests(): Digest[];
  /** Every name. */
  entries(): { tag: string; digest: Digest }[];
  tagsOf(digest: Digest): string[];
  byTag(tag: string): Digest | undefined;
  set(tag: string, image: Descriptor): Promise<void>;
  unset(tag: string): Promise<void>;
}

const tagOf = (descriptor: Descriptor): string | undefined => descriptor.annotations?.[REF_NAME];

export async function openIndex(layout: Layout, temp: TempFiles): Promise<ImageIndex> {
  let manifests = await readIndex(layout);
  const change = async (next: Descriptor[]) => {
    await writeIndex(layout, temp, next);
    manifests = next;
  };
  return {
    digests: () => [...new Set(manifests.map((one) => one.digest))],
    entries: () =>
      manifests.flatMap((one) => {
        const tag = tagOf(one);
        return tag === undefined ? [] : [{ tag, digest: one.digest }];
      }),
    tagsOf: (digest) => manifests.flatMap((one) => (one.digest === digest ? (tagOf(one) ?? []) : [])).sort(),
    byTag: (tag) => manifests.find((one) => tagOf(one) === tag)?.digest,
    async set(tag, { mediaType, digest, size }) {
      const others = manifests.filter((one) => tagOf(one) !== tag);
      await change([...others, { mediaType, digest, size, annotations: { [REF_NAME]: tag } }]);
    },
    async unset(tag) {
      if (manifests.some((one) => tagOf(one) === tag)) await change(manifests.filter((one) => tagOf(one) !== tag));
    },
  };
}
