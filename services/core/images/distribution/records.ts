/**
 * What was pushed into a repository, as far as the store's own names do not say it: blobs that
 * wait for their manifest, every pushed manifest, and the tags of those that are no image of
 * this host (an index, an artifact, an image for other machines).
 *
 * One file for each repository, written whole; garbage collection keeps what a record names.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { digestOf, hexOf, isDigest } from '../digest.ts';
import { isRecord } from '../documents.ts';
import { removeFile, syncDir, type TempFiles } from '../durable.ts';
import type { Digest } from '../types.ts';
import { isRepository } from './names.ts';

export interface ManifestRecord {
  /** As it was pushed. */
  mediaType: string;
  /** Config and layers; of an index its manifests. */
  refs: Digest[];
  isIndex: boolean;
  /** It is in the store as an image that this host can run. */
  isImage: boolean;
  subject: Digest | null;
}

export interface TagRecord {
  digest: Digest;
  /**
   * What the store's own name was set to at the same time: the image for this host in the index,
   * or null for none. The tag holds only as long as the store says the same, so `wafer image tag`
   * and `wafer image rm` have the last word.
   */
  image: Digest | null;
}

export interface RepositoryRecord {
  name: string;
  /** When each came, epoch ms. */
  blobs: Record<Digest, number>;
  manifests: Record<Digest, ManifestRecord>;
  /** A map: any word may be a tag, also `constructor`. */
  tags: Map<string, TagRecord>;
}

export interface Records {
  get(name: string): Readonly<RepositoryRecord> | undefined;
  all(): Readonly<RepositoryRecord>[];
  /** Changes a copy and writes it; a failure changes nothing. Only under the store's structure lock. */
  change<T>(name: string, edit: (record: RepositoryRecord) => T): Promise<T>;
  /** Files that could not be read: what they kept is not known, so nothing may be collected. */
  damaged(): string[];
}

const emptyRecord = (name: string): RepositoryRecord => ({ name, blobs: {}, manifests: {}, tags: new Map() });

const isEmpty = ({ blobs, manifests, tags }: RepositoryRecord) =>
  tags.size === 0 && [blobs, manifests].every((part) => Object.keys(part).length === 0);

const isManifest = (value: unknown): value is ManifestRecord =>
  isRecord(value) &&
  typeof value['mediaType'] === 'string' &&
  Array.isArray(value['refs']) &&
  value['refs'].every(isDigest) &&
  typeof value['isIndex'] === 'boolean' &&
  typeof value['isImage'] === 'boolean' &&
  (value['subject'] === null || isDigest(value['subject']));

const isTag = (value: unknown): value is [string, TagRecord] => {
  if (!Array.isArray(value) || typeof value[0] !== 'string' || !isRecord(value[1])) return false;
  const { digest, image } = value[1];
  return isDigest(digest) && (image === null || isDigest(image));
};

const formatRecord = (record: RepositoryRecord) => JSON.stringify({ ...record, tags: [...record.tags] });

function parseRecord(text: string): RepositoryRecord | null {
  try {
    const value: unknown = JSON.parse(text);
    if (!isRecord(value) || typeof value['name'] !== 'string' || !isRepository(value['name'])) return null;
    const { name, blobs, manifests, tags } = value;
    if (!isRecord(blobs) || !isRecord(manifests) || !Array.isArray(tags) || !tags.every(isTag)) return null;
    const fits =
      [...Object.keys(blobs), ...Object.keys(manifests)].every(isDigest) &&
      Object.values(blobs).every(Number.isSafeInteger) &&
      Object.values(manifests).every(isManifest);
    return fits ? ({ name, blobs, manifests, tags: new Map(tags) } as RepositoryRecord) : null;
  } catch {
    return null; // Not JSON: as damaged as a wrong shape.
  }
}

/** A name may be longer than a file name, and has slashes. */
const fileName = (name: string) => `${hexOf(digestOf(name))}.json`;

export async function openRecords(dir: string, temp: TempFiles): Promise<Records> {
  const records = new Map<string, RepositoryRecord>();
  const damaged: string[] = [];
  for (const file of await readdir(dir)) {
    const record = parseRecord(await readFile(join(dir, file), 'utf8'));
    if (record !== null && fileName(record.name) === file) records.set(record.name, record);
    else damaged.push(join(dir, file));
  }
  return {
    get: (name) => records.get(name),
    all: () => [...records.values()],
    damaged: () => [...damaged],
    async change(name, edit) {
      const before = records.get(name);
      const next = before === undefined ? emptyRecord(name) : structuredClone(before);
      const result = edit(next);
      const path = join(dir, fileName(name));
      if (!isEmpty(next)) {
        await temp.writeWhole(path, formatRecord(next));
        records.set(name, next);
      } else if (before !== undefined) {
        await removeFile(path);
        await syncDir(dir);
        records.delete(name);
      }
      return result;
    },
  };
}

/** Every digest that a record keeps from garbage collection. */
export function keptBy({ blobs, manifests }: Readonly<RepositoryRecord>): { manifests: Digest[]; blobs: Digest[] } {
  const listed = Object.entries(manifests).flatMap(([digest, { refs }]) => [digest, ...refs]);
  return { manifests: Object.keys(manifests), blobs: [...Object.keys(blobs), ...listed] };
}
