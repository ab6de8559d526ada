/** Which manifests of a repository are still wanted. Pure functions over its record. */
import type { Digest } from '../types.ts';
import type { RepositoryRecord } from './records.ts';

type Tagged = ReadonlySet<Digest>;

const tagsOf = ({ tags }: RepositoryRecord) => [...tags.values()].map(({ digest }) => digest);

/** The indexes of the repository that list this manifest. */
export function parentsOf({ manifests }: Readonly<RepositoryRecord>, digest: Digest): Digest[] {
  return Object.entries(manifests).flatMap(([parent, { isIndex, refs }]) =>
    isIndex && refs.includes(digest) ? [parent] : [],
  );
}

/**
 * Takes a manifest that has lost its tag out of the record, with what was there only because of
 * it: the manifests of an index, and what has it as its subject. What has a tag of its own stays.
 */
export function dropTree(record: RepositoryRecord, digest: Digest, tagged: Tagged): void {
  const entry = record.manifests[digest];
  const isWanted = tagged.has(digest) || tagsOf(record).includes(digest) || parentsOf(record, digest).length > 0;
  if (entry === undefined || isWanted) return;
  delete record.manifests[digest];
  if (entry.isIndex) for (const child of entry.refs) dropTree(record, child, tagged);
  for (const [other, { subject }] of Object.entries(record.manifests)) {
    if (subject === digest) dropTree(record, other, tagged);
  }
}

/** Leaves what can be reached from a tag: in an index, or by a subject. */
export function keepReachable(record: RepositoryRecord, tagged: Tagged): void {
  const wanted = new Set<Digest>();
  const next = [...tagged, ...tagsOf(record)];
  for (let digest = next.pop(); digest !== undefined; digest = next.pop()) {
    if (wanted.has(digest)) continue;
    wanted.add(digest);
    const entry = record.manifests[digest];
    if (entry?.isIndex === true) next.push(...entry.refs);
    for (const [other, { subject }] of Object.entries(record.manifests)) if (subject === digest) next.push(other);
  }
  for (const digest of Object.keys(record.manifests)) if (!wanted.has(digest)) delete record.manifests[digest];
}
