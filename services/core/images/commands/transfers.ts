/** Images in and out, whole: registries and archives. */
import { WaferError } from '../../errors.ts';
import { loadArchive } from '../archive/load.ts';
import { saveArchive } from '../archive/save.ts';
import { nameForTag } from '../names.ts';
import { parseReference } from '../reference.ts';
import { pullImage } from '../registry/pull.ts';
import { pushImage } from '../registry/push.ts';
import type { ImageService, ImageServiceDeps } from '../service.ts';
import type { Image } from '../types.ts';
import type { Tools } from './tools.ts';

type TransferParts = Pick<ImageService, 'pull' | 'push' | 'load' | 'save'>;

export function transferParts(deps: ImageServiceDeps, { lookUp, detail, cleaningUp }: Tools): TransferParts {
  const { store, client, defaultRegistry, names, tmpDir, archiveLimits: limits = {} } = deps;
  const acceptableName = (text: string): string | null => {
    try {
      const name = nameForTag(text);
      return names.mayTake(name) ? name : null;
    } catch (error) {
      if (error instanceof WaferError) return null;
      throw error;
    }
  };
  return {
    async pull(name, transfer) {
      const reference = parseReference(name, defaultRegistry);
      const { image, isNew, tag } = await cleaningUp(() => pullImage(store, client, reference, transfer));
      return { digest: image.digest, name: tag, isNew };
    },
    async push(name, as, transfer) {
      const { image, tag } = await lookUp(name);
      const reference = parseReference(as ?? tag ?? onlyName(image, name), defaultRegistry);
      const { digest, name: pushed } = await pushImage(store, client, image, reference, transfer);
      return { digest, name: pushed };
    },
    async load(archive, transfer) {
      const options = { ...transfer, tmpDir, nameOf: acceptableName, limits };
      const images = await cleaningUp(() => loadArchive(store, archive, options));
      return Promise.all(images.map((image) => store.get(image.digest).then(detail)));
    },
    async save(name, format) {
      const { image, tag } = await lookUp(name);
      const stream = await saveArchive(store, image, format, tag === null ? image.tags : [tag]);
      return { stream, digest: image.digest };
    },
  };
}

/** Of an image that was found by its digest. */
function onlyName(image: Image, typed: string): string {
  const [only, ...others] = image.tags;
  if (only !== undefined && others.length === 0) return only;
  throw new WaferError('invalid_request', `The image ${typed.slice(0, 100)} has ${image.tags.length} names.`, {
    hint: 'Say under which one to push it.',
  });
}
