/** The registry: everything that `/v2/` does, over the image store. Knows no HTTP. */
import type { Readable } from 'node:stream';
import { WaferError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { parseManifest } from '../documents.ts';
import type { ImageNames } from '../reserved.ts';
import { type Digest, type ImageStore, MEDIA } from '../types.ts';
import { assertWritable, createBlobsIn } from './blobs-in.ts';
import { DistributionError } from './errors.ts';
import type { FunctionImages } from './function-images.ts';
import { DISTRIBUTION_LIMITS, type DistributionLimits } from './limits.ts';
import { describeReferrer, type ReferrerDescriptor } from './manifest-document.ts';
import { byName, checkDigest, checkReference } from './names.ts';
import { createManifestPush, type ManifestPush, type PushedManifest } from './push-manifest.ts';
import { blobUnknown, manifestUnknown, removeBlob, removeManifest } from './removals.ts';
import { type Chunk, openUploads } from './uploads.ts';
import { createViews, type Place, type Views } from './views.ts';

export interface DistributionDeps {
  store: ImageStore;
  functions: FunctionImages;
  names: ImageNames;
  log: Pick<Log, 'warn'>;
  limits?: Partial<DistributionLimits>;
  /** Wall time, ms. Only tests give one. */
  now?: () => number;
}

export interface FoundManifest {
  digest: Digest;
  mediaType: string;
  bytes: Buffer;
}

export interface FoundBlob {
  size: number;
  /** Checked on the way. */
  whole(): Promise<Readable>;
  /** Both ends inclusive. */
  part(start: number, end: number): Promise<Readable>;
}

/** Errors are `DistributionError`s where the protocol has a name for them. */
export interface Distribution {
  readonly limits: DistributionLimits;
  repositories(): Promise<string[]>;
  tags(repository: string): Promise<string[]>;
  manifest(repository: string, reference: string): Promise<FoundManifest>;
  pushManifest(repository: string, reference: string, manifest: PushedManifest): Promise<ManifestPush>;
  removeManifest(repository: string, reference: string): Promise<void>;
  /** What has this manifest as its subject. Nothing is not an error. */
  referrers(repository: string, digest: string, artifactType: string | null): Promise<ReferrerDescriptor[]>;
  blob(repository: string, digest: string): Promise<FoundBlob>;
  removeBlob(repository: string, digest: string): Promise<void>;
  /** An upload's id, or null when the blob was mounted. */
  startUpload(repository: string, mount: { digest: string; from: string } | null): Promise<string | null>;
  uploadStatus(repository: string, id: string): Promise<number>;
  append(repository: string, id: string, chunk: Chunk): Promise<number>;
  finishUpload(repository: string, id: string, digest: string, chunk: Chunk | null): Promise<Digest>;
  cancelUpload(repository: string, id: string): Promise<void>;
  pushBlob(repository: string, digest: string, body: Readable): Promise<Digest>;
  /** Drops abandoned uploads, and blobs that no manifest has asked for in time. Runs by itself too. */
  expire(): Promise<{ uploads: number; blobs: number }>;
  close(): void;
}

export async function openDistribution(deps: DistributionDeps): Promise<Distribution> {
  const limits: DistributionLimits = { ...DISTRIBUTION_LIMITS, ...deps.limits };
  const now = deps.now ?? (() => Date.now());
  const { store, log } = deps;
  const { content } = store;
  const uploads = await openUploads(content.uploadsDir, limits, now);
  const views = createViews({ ...deps, content, indexDepth: limits.indexDepth });
  const blobsIn = createBlobsIn({ content, views, uploads, now });
  const push = createManifestPush({ ...deps, views, limits });
  const removal = { content, views };

  /** A failure must not undo what was asked for; the next collection takes the rest. */
  const collect = () =>
    store.collectGarbage().then(
      () => {},
      (err: unknown) => log.warn({ err }, 'garbage could not be collected'),
    );

  const expire = async () => {
    const gone = { uploads: await uploads.expire(), blobs: await expireBlobs(deps, now() - limits.orphanMs) };
    if (gone.blobs > 0) await collect();
    return gone;
  };
  const timer = setInterval(() => {
    expire().catch((err: unknown) => log.warn({ err }, 'old uploads could not be removed'));
  }, limits.sweepMs);
  timer.unref();

  return {
    limits,
    ...reading(deps, views),
    pushManifest: async (repository, reference, manifest) => {
      const place = views.place(repository);
      try {
        return await push(place, reference, manifest);
      } catch (error) {
        // Layers that were unpacked for an image that was refused in the end.
        if (error instanceof DistributionError && error.cause !== undefined) await collect();
        throw error;
      }
    },
    async removeManifest(repository, reference) {
      await removeManifest(removal, views.place(repository), reference);
      if (reference.includes(':')) store.forget([reference]);
      await collect();
    },
    async removeBlob(repository, digest) {
      await removeBlob(removal, views.place(repository), checkDigest(digest));
      await collect();
    },
    startUpload: async (repository, mount) => blobsIn.start(writable(views, repository), mount),
    uploadStatus: async (repository, id) => uploads.status(writable(views, repository).repository, id),
    append: async (repository, id, chunk) => uploads.append(writable(views, repository).repository, id, chunk),
    finishUpload: async (repository, id, digest, chunk) =>
      blobsIn.finish(writable(views, repository), id, digest, chunk),
    cancelUpload: async (repository, id) => uploads.cancel(writable(views, repository).repository, id),
    pushBlob: async (repository, digest, body) => blobsIn.whole(writable(views, repository), digest, body),
    expire,
    close: () => clearInterval(timer),
  };
}

function writable(views: Views, repository: string): Place {
  const place = views.place(repository);
  assertWritable(place);
  return place;
}

async function expireBlobs({ store: { content } }: DistributionDeps, before: number): Promise<number> {
  let gone = 0;
  for (const { name, blobs } of content.records()) {
    if (!Object.values(blobs).some((at) => at <= before)) continue;
    await content.change(name, (record) => {
      for (const [digest, at] of Object.entries(record.blobs)) {
        if (at > before) continue;
        delete record.blobs[digest];
        gone += 1;
      }
    });
  }
  return gone;
}

type Reading = Pick<Distribution, 'repositories' | 'tags' | 'manifest' | 'blob' | 'referrers'>;

function reading({ store: { content } }: DistributionDeps, views: Views): Reading {
  const manifestBytes = async (place: Place, digest: Digest): Promise<FoundManifest | null> => {
    const bytes = await content.readDocument(digest);
    if (bytes === null) return null;
    const pushed = content.record(place.repository)?.manifests[digest]?.mediaType;
    return { digest, bytes, mediaType: pushed ?? parseManifest(bytes)?.mediaType ?? MEDIA.manifest };
  };
  return {
    repositories: views.repositories,
    async tags(repository) {
      const tags = await views.tags(views.place(repository));
      if (tags !== null) return [...tags.keys()].sort(byName);
      throw new DistributionError('NAME_UNKNOWN', `There is no repository ${repository}.`);
    },
    async manifest(repository, text) {
      const place = views.place(repository);
      const digest = await views.find(place, checkReference(text));
      const found = digest === null ? null : await manifestBytes(place, digest);
      if (found === null) throw manifestUnknown(place, text);
      return found;
    },
    async blob(repository, text) {
      const place = views.place(repository);
      const digest = checkDigest(text);
      const size = (await views.hasBlob(place, digest)) ? await content.sizeOf(digest) : null;
      if (size === null) throw blobUnknown(place, digest);
      // It may go away between the question and the reading.
      const gone = (error: unknown) => {
        throw error instanceof WaferError && error.code === 'not_found' ? blobUnknown(place, digest) : error;
      };
      return {
        size,
        whole: () => content.read(digest).catch(gone),
        part: (start, end) => content.readRange(digest, start, end).catch(gone),
      };
    },
    async referrers(repository, text, artifactType) {
      const place = views.place(repository);
      const subject = checkDigest(text);
      const record = content.record(repository);
      const found: ReferrerDescriptor[] = [];
      for (const [digest, entry] of Object.entries(record?.manifests ?? {})) {
        const manifest = entry.subject === subject ? await manifestBytes(place, digest) : null;
        if (manifest !== null) found.push(describeReferrer(manifest.bytes, digest, manifest.mediaType));
      }
      return found.filter((one) => artifactType === null || one.artifactType === artifactType);
    },
  };
}
