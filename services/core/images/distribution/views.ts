/**
 * What a repository shows: the manifests that it has, and their blobs.
 *
 * A blob can be read only in a repository that it was pushed or mounted into, or that has a
 * manifest which lists it. Knowing a digest opens nothing: the same blob in another repository
 * has to be mounted from one where it can be read. (One key opens everything today; the rule is
 * what keeps tenants apart when there are more.)
 */
import { WaferError } from '../../errors.ts';
import { isName, LIVE_ALIAS } from '../../functions/names.ts';
import { parseManifest } from '../documents.ts';
import type { ImageNames } from '../reserved.ts';
import type { Digest } from '../types.ts';
import type { StoreContent } from './content.ts';
import { DistributionError } from './errors.ts';
import type { FunctionImages } from './function-images.ts';
import { byName, checkRepository, FUNCTIONS_PREFIX, LATEST, splitStoreName, storeName, tagsOfNames } from './names.ts';

export type Place =
  /** Names of the store. */
  | { kind: 'local'; repository: string }
  /** A base image: the platform's own, for reading. */
  | { kind: 'base'; repository: string }
  | { kind: 'function'; repository: string; name: string };

export interface Views {
  /** @throws DistributionError `NAME_INVALID`, or `NAME_UNKNOWN` for what only the platform uses */
  place(repository: string): Place;
  repositories(): Promise<string[]>;
  /** Null when there is no such repository. */
  tags(place: Place): Promise<Map<string, Digest> | null>;
  /** The manifest that a tag or digest stands for; null when the repository has none. */
  find(place: Place, reference: { tag: string } | { digest: Digest }): Promise<Digest | null>;
  hasBlob(place: Place, digest: Digest): Promise<boolean>;
  /** The image of this host that a manifest of the repository is, or has; null for none. */
  imageOf(place: Place, digest: Digest): Promise<Digest | null>;
}

export interface ViewsDeps {
  content: StoreContent;
  functions: FunctionImages;
  names: ImageNames;
  indexDepth: number;
}

/** Blobs of manifests that were read; they never change. */
const MAX_CACHED = 2_000;

function createBlobLists(content: StoreContent) {
  const cache = new Map<Digest, ReadonlySet<Digest>>();
  return async (manifest: Digest): Promise<ReadonlySet<Digest>> => {
    const known = cache.get(manifest);
    if (known !== undefined) return known;
    const bytes = await content.readDocument(manifest);
    const parsed = bytes === null ? null : parseManifest(bytes);
    const blobs = new Set(parsed === null ? [] : [parsed.config, ...parsed.layers].map(({ digest }) => digest));
    if (cache.size >= MAX_CACHED) cache.clear();
    if (bytes !== null) cache.set(manifest, blobs);
    return blobs;
  };
}

function placeOf(repository: string, { names }: ViewsDeps): Place {
  checkRepository(repository);
  if (names.ownerOf(repository) === 'base') return { kind: 'base', repository };
  const name = repository.slice(FUNCTIONS_PREFIX.length);
  if (repository.startsWith(FUNCTIONS_PREFIX) && isName(name)) return { kind: 'function', repository, name };
  if (names.mayTake(storeName(repository, LATEST))) return { kind: 'local', repository };
  throw new DistributionError('NAME_UNKNOWN', `The platform keeps ${repository} to itself.`);
}

function localTags(content: StoreContent, repository: string): Map<string, Digest> | null {
  const record = content.record(repository);
  const stored = tagsOfNames(content.names(), repository);
  const tags = new Map(stored);
  for (const [tag, { digest, image }] of record?.tags ?? []) {
    if ((stored.get(tag) ?? null) === image) tags.set(tag, digest);
  }
  return tags.size === 0 && record === undefined ? null : tags;
}

/** Without a tag, clients ask for `latest`. */
function withLatest(tags: Map<string, Digest> | null): Map<string, Digest> | null {
  const live = tags?.get(LIVE_ALIAS);
  return tags === null || live === undefined || tags.has(LATEST) ? tags : new Map([...tags, [LATEST, live]]);
}

export function createViews(deps: ViewsDeps): Views {
  const { content, functions } = deps;
  const blobsOf = createBlobLists(content);

  const tags = async (place: Place): Promise<Map<string, Digest> | null> => {
    const { kind, repository } = place;
    if (kind === 'local') return localTags(content, repository);
    if (kind === 'function') return withLatest(await functions.tags(place.name));
    const image = content.byName(repository);
    return image === undefined ? null : new Map([[LATEST, image]]);
  };

  const pushed = (place: Place, digest: Digest) => content.record(place.repository)?.manifests[digest];

  const has = async (place: Place, digest: Digest): Promise<boolean> =>
    pushed(place, digest) !== undefined || [...((await tags(place)) ?? new Map()).values()].includes(digest);

  const imageOf = async (place: Place, digest: Digest, depth = 0): Promise<Digest | null> => {
    const entry = pushed(place, digest);
    if (entry === undefined) return (await has(place, digest)) ? digest : null;
    if (!entry.isIndex) return entry.isImage ? digest : null;
    for (const child of depth < deps.indexDepth ? entry.refs : []) {
      const image = await imageOf(place, child, depth + 1);
      if (image !== null) return image;
    }
    return null;
  };

  return {
    place: (repository) => placeOf(repository, deps),
    tags,
    imageOf: (place, digest) => imageOf(place, digest),
    async repositories() {
      const names = new Set(content.records().map(({ name }) => name));
      for (const { name } of content.names()) {
        const place = splitStoreName(name);
        if (place !== null) names.add(place.repository);
      }
      for (const name of await functions.names()) names.add(`${FUNCTIONS_PREFIX}${name}`);
      return [...names].filter((name) => isShown(name, deps)).sort(byName);
    },
    async find(place, reference) {
      if ('digest' in reference) return (await has(place, reference.digest)) ? reference.digest : null;
      return (await tags(place))?.get(reference.tag) ?? null;
    },
    async hasBlob(place, digest) {
      const record = content.record(place.repository);
      if (record?.blobs[digest] !== undefined) return true;
      const inPushed = Object.values(record?.manifests ?? {}).some(
        ({ isIndex, refs }) => !isIndex && refs.includes(digest),
      );
      if (inPushed) return true;
      for (const manifest of new Set(((await tags(place)) ?? new Map<string, Digest>()).values())) {
        if ((await blobsOf(manifest)).has(digest)) return true;
      }
      return false;
    },
  };
}

function isShown(name: string, deps: ViewsDeps): boolean {
  try {
    placeOf(name, deps);
    return true;
  } catch (error) {
    if (error instanceof WaferError) return false;
    throw error;
  }
}
