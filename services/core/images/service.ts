/** Everything that people do with images, over the store: names, transfers, archives, cleaning up. */
import type { Readable } from 'node:stream';
import { WaferError } from '../errors.ts';
import { loadArchive } from './archive/load.ts';
import { type ArchiveFormat, saveArchive } from './archive/save.ts';
import type { ArchiveLimits } from './archive/spool.ts';
import type { Collected } from './collect.ts';
import { describeImage, describeUsage, type ImageDetail, type StoreUsage } from './describe.ts';
import { parseManifest } from './documents.ts';
import { findByName, nameForTag } from './names.ts';
import type { OnTransfer } from './progress.ts';
import { parseReference } from './reference.ts';
import type { RegistryClient } from './registry/client.ts';
import type { Credentials } from './registry/credentials.ts';
import { pullImage } from './registry/pull.ts';
import { pushImage } from './registry/push.ts';
import type { Digest, Image, ImageStore } from './types.ts';

export interface ImageServiceDeps {
  store: ImageStore;
  client: RegistryClient;
  credentials: Credentials;
  defaultRegistry: string | null;
  /** Names that the platform gives itself: functions, their dependencies, base images. */
  isReserved: (tag: string) => boolean;
  /** For archives while they are loaded; made by the caller. */
  tmpDir: string;
  archiveLimits?: Partial<ArchiveLimits>;
}

export interface Transfer {
  onEvent: OnTransfer;
  signal: AbortSignal;
}

export interface Transferred {
  digest: Digest;
  /** The whole name, with registry and tag. */
  name: string;
  /** Of a pull: false when the image was there. */
  isNew?: boolean;
}

export interface ImageService {
  inspect(name: string): Promise<ImageDetail>;
  tag(name: string, newName: string): Promise<ImageDetail>;
  /** A tag goes; the image goes with its last one. By digest all its tags go. @throws WaferError `conflict` for the platform's own */
  remove(name: string): Promise<{ untagged: string[]; removed: Digest | null } & Pick<Collected, 'layers' | 'bytes'>>;
  /** What nothing refers to; with `all` also every image that is not the platform's own. */
  prune(all: boolean): Promise<Collected & { untagged: string[] }>;
  usage(): Promise<StoreUsage>;
  pull(name: string, transfer: Transfer): Promise<Transferred>;
  /** Under its own name, or under `as`. */
  push(name: string, as: string | undefined, transfer: Transfer): Promise<Transferred>;
  /** Owns `archive`. */
  load(archive: Readable, transfer: Transfer): Promise<ImageDetail[]>;
  save(name: string, format: ArchiveFormat): Promise<{ stream: Readable; digest: Digest }>;
  login(registry: string, username: string, password: string, signal: AbortSignal): Promise<void>;
  /** False when there was nothing to forget. */
  logout(registry: string): Promise<boolean>;
  registries(): Promise<string[]>;
}

const ownedByPlatform = (tag: string) =>
  new WaferError('conflict', `${JSON.stringify(tag)} is a name that the platform gives.`, {
    hint: 'Functions go with "wafer rm"; base images are made again at every start.',
  });

/** What was refused must leave nothing; what only broke off may go on with what it has. */
const isRefusal = (error: unknown) =>
  error instanceof WaferError && ['invalid_image', 'invalid_archive', 'digest_mismatch'].includes(error.code);

/** By `host` or `host:port`, checked by the rules of references. */
const registryOf = (text: string) => parseReference(`${text}/check`, null).registry;

export function createImageService(deps: ImageServiceDeps): ImageService {
  return { ...localParts(deps), ...transferParts(deps), ...loginParts(deps) };
}

function tools({ store, defaultRegistry, isReserved }: ImageServiceDeps) {
  return {
    lookUp: (name: string) => findByName(store, name, defaultRegistry),
    find: async (name: string) => (await findByName(store, name, defaultRegistry)).image,
    async detail(image: Image): Promise<ImageDetail> {
      const manifest = parseManifest(await store.document(image.digest));
      return describeImage(image, manifest?.mediaType ?? '');
    },
    newName(text: string): string {
      const name = nameForTag(text);
      if (isReserved(name) || isReserved(name.replace(/:latest$/, ''))) throw ownedByPlatform(name);
      return name;
    },
    async cleaningUp<T>(work: () => Promise<T>): Promise<T> {
      try {
        return await work();
      } catch (error) {
        if (isRefusal(error)) await store.collectGarbage();
        throw error;
      }
    },
  };
}

type LocalParts = Pick<ImageService, 'inspect' | 'tag' | 'remove' | 'prune' | 'usage'>;

function localParts(deps: ImageServiceDeps): LocalParts {
  const { store, isReserved } = deps;
  const { find, lookUp, detail, newName } = tools(deps);
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
      const owned = tags.find(isReserved);
      if (owned !== undefined) throw ownedByPlatform(owned);
      const untagged = await untag(tags);
      const isGone = untagged.length === image.tags.length;
      if (!isGone) return { untagged, removed: null, layers: 0, bytes: 0 };
      store.forget([image.digest, ...image.layers.map(({ diffId }) => diffId)]);
      const { layers, bytes } = await store.collectGarbage();
      const isStillThere = (await store.find(image.digest).catch(() => null)) !== null;
      return { untagged, removed: isStillThere ? null : image.digest, layers, bytes };
    },
    async prune(all) {
      const images = all ? await store.list() : [];
      const untagged = await untag(images.flatMap(({ tags }) => tags).filter((tag) => !isReserved(tag)));
      await store.content.prune(all);
      return { ...(await store.collectGarbage()), untagged };
    },
    async usage() {
      const [images, { blobsBytes }] = await Promise.all([store.list(), store.usage()]);
      return describeUsage(images, blobsBytes);
    },
  };
}

type TransferParts = Pick<ImageService, 'pull' | 'push' | 'load' | 'save'>;

function transferParts(deps: ImageServiceDeps): TransferParts {
  const { store, client, defaultRegistry, isReserved, tmpDir, archiveLimits: limits = {} } = deps;
  const { lookUp, detail, cleaningUp } = tools(deps);
  const acceptableName = (text: string): string | null => {
    try {
      const name = nameForTag(text);
      return isReserved(name) ? null : name;
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

type LoginParts = Pick<ImageService, 'login' | 'logout' | 'registries'>;

function loginParts({ client, credentials }: ImageServiceDeps): LoginParts {
  return {
    async login(text, username, password, signal) {
      const registry = registryOf(text);
      await client.check(registry, { username, password }, signal);
      await credentials.set(registry, { username, password });
    },
    logout: async (text) => credentials.remove(registryOf(text)),
    registries: () => credentials.registries(),
  };
}
