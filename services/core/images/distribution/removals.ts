/** Taking things out of a repository. What nothing refers to afterwards goes with the collection that follows. */
import type { Digest } from '../types.ts';
import type { StoreContent } from './content.ts';
import { DistributionError } from './errors.ts';
import { checkReference, storeNames } from './names.ts';
import { parentsOf } from './reach.ts';
import type { Place, Views } from './views.ts';

export interface RemovalDeps {
  content: StoreContent;
  views: Views;
}

function assertLocal({ kind, repository }: Place): void {
  if (kind === 'local') return;
  const what = kind === 'base' ? 'a base image' : 'a function; it goes with "wafer rm"';
  throw new DistributionError('UNSUPPORTED', `Nothing can be deleted in ${repository}: it is ${what}.`);
}

const inUse = (what: string, by: Digest) =>
  new DistributionError('DENIED', `${what} is part of ${by}. Delete that first.`, {
    status: 405,
    detail: { usedBy: by },
  });

export const manifestUnknown = ({ repository }: Place, reference: string) =>
  new DistributionError('MANIFEST_UNKNOWN', `${repository} has no manifest ${reference}.`);

/** A tag goes alone; what was pushed under it stays, by its digest. */
async function removeTag({ content }: RemovalDeps, { repository }: Place, tag: string): Promise<void> {
  if (content.record(repository)?.tags.has(tag) === true) {
    await content.change(repository, (record) => record.tags.delete(tag));
  }
  await content.unname(storeNames(repository, tag));
}

/** @throws DistributionError `MANIFEST_UNKNOWN`, or `DENIED` when an index of the repository lists it */
export async function removeManifest(deps: RemovalDeps, place: Place, referenceText: string): Promise<void> {
  const { content, views } = deps;
  const { repository } = place;
  const reference = checkReference(referenceText);
  const digest = await views.find(place, reference);
  if (digest === null) throw manifestUnknown(place, referenceText);
  assertLocal(place);
  if ('tag' in reference) return removeTag(deps, place, reference.tag);
  const [parent] = parentsOf(
    content.record(repository) ?? { name: '', blobs: {}, manifests: {}, tags: new Map() },
    digest,
  );
  if (parent !== undefined) throw inUse(`The manifest ${digest}`, parent);
  for (const [tag, tagged] of (await views.tags(place)) ?? []) if (tagged === digest) await removeTag(deps, place, tag);
  await content.change(repository, (record) => delete record.manifests[digest]);
}

/** @throws DistributionError `BLOB_UNKNOWN`, or `DENIED` when a manifest of the repository lists it */
export async function removeBlob({ content, views }: RemovalDeps, place: Place, digest: Digest): Promise<void> {
  const { repository } = place;
  if (!(await views.hasBlob(place, digest))) throw blobUnknown(place, digest);
  assertLocal(place);
  const record = content.record(repository);
  const user = Object.entries(record?.manifests ?? {}).find(([, { refs }]) => refs.includes(digest))?.[0];
  if (user !== undefined) throw inUse(`The blob ${digest}`, user);
  if (record?.blobs[digest] === undefined) {
    throw new DistributionError(
      'DENIED',
      `The blob ${digest} is part of an image in ${repository}. Delete that first.`,
      {
        status: 405,
      },
    );
  }
  await content.change(repository, (changed) => delete changed.blobs[digest]);
}

export const blobUnknown = ({ repository }: Place, digest: Digest) =>
  new DistributionError('BLOB_UNKNOWN', `${repository} has no blob ${digest}.`);
