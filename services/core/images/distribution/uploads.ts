/**
 * Blobs on their way in. An upload belongs to one repository and takes its bytes in order, from
 * one request at a time; a request that breaks off leaves what arrived, one that is refused
 * leaves what was there before. The digest is computed as the bytes come.
 */
import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Readable } from 'node:stream';
import { asDiskFull } from '../durable.ts';
import { createKeyedMutex } from '../mutex.ts';
import type { Digest } from '../types.ts';
import { DistributionError } from './errors.ts';
import type { DistributionLimits } from './limits.ts';
import { createUploadFiles, type UploadFiles } from './upload-files.ts';

/** `Content-Range` of a chunk, both ends inclusive. */
export interface ChunkRange {
  start: number;
  end: number;
}

export interface Chunk {
  body: Readable;
  range: ChunkRange | null;
}

export interface Uploads {
  /** @throws DistributionError `TOOMANYREQUESTS` */
  start(repository: string): Promise<string>;
  /** Bytes that are there. @throws DistributionError `BLOB_UPLOAD_UNKNOWN`, also for one of another repository */
  status(repository: string, id: string): Promise<number>;
  /** @returns bytes that are there now. @throws DistributionError `BLOB_UPLOAD_UNKNOWN | SIZE_INVALID | BLOB_UPLOAD_INVALID` */
  append(repository: string, id: string, chunk: Chunk): Promise<number>;
  /**
   * Takes the last chunk, if any, and hands the whole file to `adopt`, synced. The upload ends
   * here, also when the digest is wrong.
   * @throws DistributionError `DIGEST_INVALID` and what `append` throws
   */
  finish(
    repository: string,
    id: string,
    end: { digest: Digest; chunk: Chunk | null; adopt: (path: string) => Promise<void> },
  ): Promise<void>;
  cancel(repository: string, id: string): Promise<void>;
  /** Removes what nobody has touched for `uploadIdleMs`. @returns how many */
  expire(): Promise<number>;
}

interface Upload {
  id: string;
  repository: string;
  size: number;
  touchedAt: number;
  /** Of the bytes so far; null after a restart, until it is needed. */
  hash: Hash | null;
  /** Requests that write, or wait to. */
  busy: number;
}

const unknown = () =>
  new DistributionError(
    'BLOB_UPLOAD_UNKNOWN',
    'There is no such upload in this repository. It may have ended, or expired.',
  );

/** Where an upload stands, as its clients read it. */
export const progressHeaders = (repository: string, id: string, size: number): Record<string, string> => ({
  location: `/v2/${repository}/blobs/uploads/${id}`,
  range: `0-${Math.max(0, size - 1)}`,
  'docker-upload-uuid': id,
});

function checkStart(upload: Upload, range: ChunkRange): void {
  if (range.start === upload.size) return;
  const message = `The next byte of this upload is ${upload.size}, not ${range.start}.`;
  const headers = progressHeaders(upload.repository, upload.id, upload.size);
  throw new DistributionError('BLOB_UPLOAD_INVALID', message, { status: 416, headers });
}

async function writeAll(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    at += (await file.write(bytes, at, bytes.length - at, position + at)).bytesWritten;
  }
}

const tooLarge = (bytes: number) =>
  new DistributionError('SIZE_INVALID', `A blob may have at most ${bytes} bytes.`, { status: 413 });

async function take(upload: Upload, hash: Hash, file: FileHandle, chunk: Chunk, maxBytes: number): Promise<void> {
  const { body, range } = chunk;
  const end = range === null ? Number.POSITIVE_INFINITY : range.end + 1;
  const wrong = (what: string) =>
    new DistributionError('SIZE_INVALID', `The chunk is ${what} than its Content-Range says.`);
  for await (const bytes of body as AsyncIterable<Buffer>) {
    if (upload.size + bytes.length > end) throw wrong('longer');
    if (upload.size + bytes.length > maxBytes) throw tooLarge(maxBytes);
    await writeAll(file, bytes, upload.size);
    hash.update(bytes);
    upload.size += bytes.length;
  }
  if (range !== null && upload.size < end) throw wrong('shorter');
}

async function hashFile(path: string, size: number): Promise<Hash> {
  const hash = createHash('sha256');
  if (size === 0) return hash;
  for await (const bytes of createReadStream(path, { end: size - 1 })) hash.update(bytes as Buffer);
  return hash;
}

/** Adds one chunk. What was refused is taken back; what broke off stays as far as it came. */
async function writeChunk(upload: Upload, chunk: Chunk, files: UploadFiles, maxBytes: number): Promise<void> {
  if (chunk.range !== null) checkStart(upload, chunk.range);
  const hash = upload.hash ?? (await hashFile(files.path(upload.id), upload.size));
  const before = { size: upload.size, hash: hash.copy() };
  upload.hash = hash;
  const file = await files.open(upload.id);
  try {
    await take(upload, hash, file, chunk, maxBytes);
  } catch (error) {
    if (!(error instanceof DistributionError)) throw asDiskFull(error, dirname(files.path(upload.id)));
    Object.assign(upload, before);
    await file.truncate(before.size);
    throw error;
  } finally {
    await file.close();
    chunk.body.destroy();
  }
}

/** Compares, and makes the file safe to be moved. @throws DistributionError `DIGEST_INVALID` */
async function seal(upload: Upload, digest: Digest, files: UploadFiles): Promise<void> {
  const hash = upload.hash ?? (await hashFile(files.path(upload.id), upload.size));
  const found = `sha256:${hash.digest('hex')}`;
  if (found !== digest) {
    const detail = { expected: digest, found };
    throw new DistributionError('DIGEST_INVALID', `The bytes that came have the digest ${found}.`, { detail });
  }
  const file = await files.open(upload.id);
  await file.sync().finally(() => file.close());
}

export async function openUploads(dir: string, limits: DistributionLimits, now: () => number): Promise<Uploads> {
  const files = createUploadFiles(dir);
  const inTurn = createKeyedMutex();
  const found = await files.find();
  const uploads = new Map<string, Upload>(found.map((one) => [one.id, { ...one, hash: null, busy: 0 }]));

  const get = (repository: string, id: string): Upload => {
    const upload = uploads.get(id);
    if (upload === undefined || upload.repository !== repository) throw unknown();
    return upload;
  };

  const end = async (id: string) => {
    uploads.delete(id);
    await files.remove(id);
  };

  /** One request at a time; who waited may find that the upload has ended. */
  const alone = async <T>(repository: string, id: string, work: (upload: Upload) => Promise<T>): Promise<T> => {
    const upload = get(repository, id);
    upload.busy += 1;
    try {
      return await inTurn(id, () => work(get(repository, id)));
    } finally {
      upload.busy -= 1;
      upload.touchedAt = now();
    }
  };

  return {
    async start(repository) {
      if (uploads.size >= limits.uploads) {
        throw new DistributionError('TOOMANYREQUESTS', `${uploads.size} uploads are open; no more are begun.`);
      }
      const id = await files.create(repository);
      uploads.set(id, { id, repository, size: 0, touchedAt: now(), hash: null, busy: 0 });
      return id;
    },
    status: async (repository, id) => get(repository, id).size,
    append: (repository, id, chunk) =>
      alone(repository, id, async (upload) => {
        await writeChunk(upload, chunk, files, limits.blobBytes);
        return upload.size;
      }),
    finish: (repository, id, { digest, chunk, adopt }) =>
      alone(repository, id, async (upload) => {
        if (chunk !== null) await writeChunk(upload, chunk, files, limits.blobBytes);
        try {
          await seal(upload, digest, files);
          await adopt(files.path(id));
        } finally {
          await end(id);
        }
      }),
    cancel: (repository, id) => alone(repository, id, () => end(id)),
    async expire() {
      const before = now() - limits.uploadIdleMs;
      const old = [...uploads.values()].filter(({ busy, touchedAt }) => busy === 0 && touchedAt <= before);
      for (const { id } of old) await end(id);
      return old.length;
    },
  };
}
