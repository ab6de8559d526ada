/**
 * The store as the registry server sees it: blobs by digest, the names, and what was pushed into
 * each repository. Whatever adds to a record runs under the store's structure lock, so garbage
 * collection sees it whole or not at all.
 */
import { createReadStream } from 'node:fs';
import { rename, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { pipeline, type Readable, Transform } from 'node:stream';
import { isErrno, WaferError } from '../../errors.ts';
import type { Blobs } from '../blobs.ts';
import { asDiskFull, syncDir } from '../durable.ts';
import type { Holds } from '../holds.ts';
import type { ImageIndex } from '../image-index.ts';
import type { Exclusive } from '../mutex.ts';
import type { Digest, Lease } from '../types.ts';
import { splitStoreName, tagsOfNames } from './names.ts';
import { dropTree, keepReachable } from './reach.ts';
import type { Records, RepositoryRecord } from './records.ts';

export interface StoreContent {
  /** Where uploads grow: on the disk of the blobs, so that a whole one is moved and not copied. */
  readonly uploadsDir: string;
  /** Every name and its image. */
  names(): { name: string; digest: Digest }[];
  byName(name: string): Digest | undefined;
  /** Null when there is no such blob. */
  sizeOf(digest: Digest): Promise<number | null>;
  /** Errors before its last bytes when they are not those of the digest: a reader that counts must not think it has them all. @throws WaferError `not_found` */
  read(digest: Digest): Promise<Readable>;
  /** Both ends inclusive; not checked against the digest, which a part does not have. @throws WaferError `not_found` */
  readRange(digest: Digest, start: number, end: number): Promise<Readable>;
  /** A manifest or a config; null when it is not there or too large to be one. */
  readDocument(digest: Digest): Promise<Buffer | null>;
  putDocument(bytes: Buffer, mediaType: string): Promise<void>;
  /** Makes a synced file, whose digest is known to be this one, the blob. The path is gone afterwards. */
  adopt(path: string, digest: Digest): Promise<void>;
  /** Keeps these from garbage collection while they are worked on. Waits for one that runs. */
  hold(digests: Digest[]): Promise<Lease>;
  record(repository: string): Readonly<RepositoryRecord> | undefined;
  records(): Readonly<RepositoryRecord>[];
  change<T>(repository: string, edit: (record: RepositoryRecord) => T): Promise<T>;
  /** Takes names away, and leaves what was pushed under it, unlike `untag` of the store. */
  unname(names: readonly string[]): Promise<void>;
  /** Forgets every pushed manifest that no tag leads to; with `all` also the tags of what is no image of this host. */
  prune(all: boolean): Promise<void>;
}

export interface ContentDeps {
  uploadsDir: string;
  blobs: Blobs;
  holds: Holds;
  exclusive: Exclusive;
  index: ImageIndex;
  records: Records;
}

const namesOf = (index: ImageIndex) => index.entries().map(({ tag, digest }) => ({ name: tag, digest }));

/**
 * After a name was taken away by a person: what was pushed under it goes too. Only under the
 * structure lock.
 */
export async function forgetPushed(
  { index, records }: Pick<ContentDeps, 'index' | 'records'>,
  name: string,
  digest: Digest,
): Promise<void> {
  const place = splitStoreName(name);
  if (place === null || records.get(place.repository) === undefined) return;
  const tagged = new Set(tagsOfNames(namesOf(index), place.repository).values());
  await records.change(place.repository, (record) => {
    const pushed = record.tags.get(place.tag);
    record.tags.delete(place.tag);
    if (pushed?.image === digest) dropTree(record, pushed.digest, tagged);
    dropTree(record, digest, tagged);
  });
}

async function prune({ index, records }: ContentDeps, all: boolean): Promise<void> {
  for (const { name } of records.all()) {
    const stored = tagsOfNames(namesOf(index), name);
    await records.change(name, (record) => {
      for (const [tag, { image }] of record.tags) {
        const holds = (stored.get(tag) ?? null) === image;
        if (!holds || (all && image === null)) record.tags.delete(tag);
      }
      keepReachable(record, new Set(stored.values()));
    });
  }
}

/** The last piece goes on when the source has ended well. */
function holdLast(): Transform {
  let held: Buffer | undefined;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const before = held;
      held = chunk;
      done(null, before);
    },
    flush: (done) => done(null, held),
  });
}

export function createContent(deps: ContentDeps): StoreContent {
  const { uploadsDir, blobs, holds, exclusive, index, records } = deps;
  const missing = (digest: Digest) => (error: unknown) => {
    if (!isErrno(error, 'ENOENT')) throw error;
    throw new WaferError('not_found', `The store has no blob ${digest}.`);
  };
  return {
    uploadsDir,
    names: () => namesOf(index),
    byName: index.byTag,
    sizeOf: (digest) =>
      stat(blobs.path(digest)).then(
        ({ size }) => size,
        (error: unknown) => {
          if (isErrno(error, 'ENOENT')) return null;
          throw error;
        },
      ),
    read: async (digest) => pipeline(await blobs.read(digest), holdLast(), () => undefined),
    async readRange(digest, start, end) {
      const path = blobs.path(digest);
      await stat(path).catch(missing(digest));
      return createReadStream(path, { start, end, highWaterMark: 256 * 1024 });
    },
    readDocument: blobs.readDocument,
    putDocument: async (bytes, mediaType) => void (await blobs.put(bytes, mediaType)),
    async adopt(path, digest) {
      const place = blobs.path(digest);
      try {
        await rename(path, place);
        await syncDir(dirname(place));
      } catch (error) {
        throw asDiskFull(error, dirname(place));
      }
    },
    hold: (digests) => exclusive(async () => holds.hold(digests)),
    record: records.get,
    records: records.all,
    change: (repository, edit) => exclusive(() => records.change(repository, edit)),
    unname: (names) =>
      exclusive(async () => {
        for (const name of names) await index.unset(name);
      }),
    prune: (all) => exclusive(() => prune(deps, all)),
  };
}
