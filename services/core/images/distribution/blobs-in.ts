/** Blobs come into a repository: sent, or mounted from another one. */
import type { Readable } from 'node:stream';
import type { Digest } from '../types.ts';
import type { StoreContent } from './content.ts';
import { DistributionError } from './errors.ts';
import { checkDigest } from './names.ts';
import type { Chunk, Uploads } from './uploads.ts';
import type { Place, Views } from './views.ts';

export interface BlobsInDeps {
  content: StoreContent;
  views: Views;
  uploads: Uploads;
  now: () => number;
}

export interface BlobsIn {
  /** @returns the id of an upload; or null when the blob was mounted and there is nothing to send */
  start(place: Place, mount: { digest: string; from: string } | null): Promise<string | null>;
  finish(place: Place, id: string, digest: string, chunk: Chunk | null): Promise<Digest>;
  /** In one request; what goes wrong leaves nothing. */
  whole(place: Place, digest: string, body: Readable): Promise<Digest>;
}

/** Before the first byte: what could never be used is not taken. */
export function assertWritable({ kind, repository }: Place): void {
  if (kind !== 'base') return;
  throw new DistributionError('DENIED', `${repository} is a base image; push under another name.`);
}

export function createBlobsIn({ content, views, uploads, now }: BlobsInDeps): BlobsIn {
  const keep = ({ repository }: Place, digest: Digest) =>
    content.change(repository, (record) => {
      record.blobs[digest] = now();
    });

  /** Held, so that a collection between the two steps takes neither. */
  const mount = async (place: Place, { digest: text, from }: { digest: string; from: string }): Promise<boolean> => {
    const digest = checkDigest(text);
    const lease = await content.hold([digest]);
    try {
      if (!(await views.hasBlob(views.place(from), digest))) return false;
      if ((await content.sizeOf(digest)) === null) return false;
      await keep(place, digest);
      return true;
    } finally {
      lease.release();
    }
  };

  const finish: BlobsIn['finish'] = async (place, id, text, chunk) => {
    const { repository } = place;
    const digest = checkDigest(text);
    const lease = await content.hold([digest]);
    try {
      await uploads.finish(repository, id, {
        digest,
        chunk,
        // The same blob may be there, or be put there at the same time: the bytes are the same.
        adopt: async (path) => {
          if ((await content.sizeOf(digest)) === null) await content.adopt(path, digest);
          await keep(place, digest);
        },
      });
    } finally {
      lease.release();
    }
    return digest;
  };

  return {
    async start(place, wanted) {
      assertWritable(place);
      if (wanted !== null && (await mount(place, wanted).catch(orFalse))) return null;
      return uploads.start(place.repository);
    },
    finish,
    async whole(place, text, body) {
      assertWritable(place);
      checkDigest(text);
      const id = await uploads.start(place.repository);
      try {
        return await finish(place, id, text, { body, range: null });
      } catch (error) {
        await uploads.cancel(place.repository, id).catch(orFalse);
        throw error;
      }
    },
  };
}

/** A mount that can not be is an upload; an upload that has ended is one that needs no cancelling. */
function orFalse(error: unknown): false {
  if (error instanceof DistributionError) return false;
  throw error;
}
