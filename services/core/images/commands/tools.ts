/** What the image commands share: finding, describing, naming, and leaving nothing behind. */
import { WaferError } from '../../errors.ts';
import { describeImage, type ImageDetail } from '../describe.ts';
import { parseManifest } from '../documents.ts';
import { type Found, findByName, nameForTag } from '../names.ts';
import type { ImageServiceDeps } from '../service.ts';
import type { Image } from '../types.ts';

export interface Tools {
  lookUp(name: string): Promise<Found>;
  find(name: string): Promise<Image>;
  detail(image: Image): Promise<ImageDetail>;
  /** The whole form of a name that a user gives. @throws WaferError `invalid_name | conflict` */
  newName(text: string): string;
  /** What `work` refused leaves nothing in the store. */
  cleaningUp<T>(work: () => Promise<T>): Promise<T>;
}

export const ownedByPlatform = (tag: string) =>
  new WaferError('conflict', `${JSON.stringify(tag.slice(0, 100))} is a name that the platform gives.`, {
    hint: 'Functions go with "wafer rm"; base images are made again at every start.',
  });

/** What was refused must leave nothing; what only broke off may go on with what it has. */
const isRefusal = (error: unknown) =>
  error instanceof WaferError && ['invalid_image', 'invalid_archive', 'digest_mismatch'].includes(error.code);

export function createTools({ store, defaultRegistry, names }: ImageServiceDeps): Tools {
  return {
    lookUp: (name) => findByName(store, name, defaultRegistry),
    find: async (name) => (await findByName(store, name, defaultRegistry)).image,
    async detail(image) {
      const manifest = parseManifest(await store.document(image.digest));
      return describeImage(image, manifest?.mediaType ?? '');
    },
    newName(text) {
      const name = nameForTag(text);
      if (!names.mayTake(name)) throw ownedByPlatform(name);
      return name;
    },
    async cleaningUp(work) {
      try {
        return await work();
      } catch (error) {
        if (isRefusal(error)) await store.collectGarbage();
        throw error;
      }
    },
  };
}
