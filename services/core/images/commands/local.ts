/** Images that are here: inspect, tag, rm, prune, df, tree. */
import { WaferError } from '../../errors.ts';
import { describeUsage } from '../describe.ts';
import { describeTree } from '../layer-tree.ts';
import type { ImageService, ImageServiceDeps, PruneOptions } from '../service.ts';
import type { Digest, Image } from '../types.ts';
import { ownedByPlatform, type Tools } from './tools.ts';

type LocalParts = Pick<ImageService, 'inspect' | 'tag' | 'remove' | 'prune' | 'usage' | 'tree'>;

const contentOf = (image: Image): Digest[] => [image.digest, ...image.layers.map(({ diffId }) => diffId)];

export function localParts(deps: ImageServiceDeps, { find, lookUp, detail, newName }: Tools): LocalParts {
  const { store, names, usersOf = () => [] } = deps;
  const untag = async (tags: readonly string[]) => {
    for (const tag of tags) await store.untag(tag);
    return [...tags];
  };
  return {
    inspect: async (name) => detail(await find(name)),
    async tag(name, newText) {
      const tag = newName(newText);
      await store.tag((await find(name)).digest, tag);
      return detail(await find(tag));
    },
    async remove(name) {
      const { image, tag } = await lookUp(name);
      const tags = tag === null ? image.tags : [tag];
      const owned = tags.find((one) => !names.mayRemove(one));
      if (owned !== undefined) throw ownedByPlatform(owned);
      if (tags.length === image.tags.length) assertUnused(image, usersOf(image.digest));
      const untagged = await untag(tags);
      const isGone = untagged.length === image.tags.length;
      if (!isGone) return { untagged, removed: null, layers: 0, bytes: 0 };
      store.forget(contentOf(image));
      const { layers, bytes } = await store.collectGarbage();
      const isStillThere = (await store.find(image.digest).catch(() => null)) !== null;
      return { untagged, removed: isStillThere ? null : image.digest, layers, bytes };
    },
    async prune(options) {
      const goes = wanted(deps, options);
      const unused = (await store.list()).filter(({ digest }) => usersOf(digest).length === 0);
      const images = unused.map((image) => ({ image, tags: image.tags.filter(goes) }));
      const untagged = await untag(images.flatMap(({ tags }) => tags));
      for (const { image, tags } of images)
        if (tags.length > 0 && tags.length === image.tags.length) store.forget(contentOf(image));
      await store.content.prune(options.all);
      return { ...(await store.collectGarbage()), untagged };
    },
    async usage() {
      const [images, { blobsBytes }] = await Promise.all([store.list(), store.usage()]);
      return describeUsage(images, blobsBytes);
    },
    async tree(name) {
      const only = name === undefined ? null : (await find(name)).digest;
      const [images, versions] = await Promise.all([store.list(), deps.versions()]);
      return describeTree(images, versions, only);
    },
  };
}

/** Its last name would go. */
function assertUnused({ tags, digest }: Image, users: readonly string[]): void {
  if (users.length === 0) return;
  const shown = users.length > 5 ? `${users.slice(0, 5).join(', ')} and ${users.length - 5} more` : users.join(', ');
  throw new WaferError('conflict', `The image ${tags[0] ?? digest} is in use by containers: ${shown}.`, {
    hint: 'Remove them first ("wafer rm").',
    details: { containers: users },
  });
}

/** Names that nobody gave always go; names of users and the build cache only when asked. */
function wanted({ names }: ImageServiceDeps, { all, buildCache }: PruneOptions): (tag: string) => boolean {
  return (tag) => {
    const owner = names.ownerOf(tag);
    if (owner === 'unnamed') return true;
    if (owner === 'stepCache' || owner === 'mountCache') return all || buildCache;
    return all && owner === 'user';
  };
}
