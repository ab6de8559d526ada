/**
 * Adds layers. The record (`meta/<hex>.json`) is written last and removed first, so a layer
 * that has one is whole. What a crash leaves between is without a record: the next
 * attempt makes it whole, or garbage collection takes it.
 */
import type { FileHandle } from 'node:fs/promises';
import { pipeline as pipe, type Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { WaferError } from '../errors.ts';
import type { Blobs } from './blobs.ts';
import { digestGate, digestTap, hexOf, mismatch } from './digest.ts';
import type { TempFiles } from './durable.ts';
import type { Holds } from './holds.ts';
import type { LayerDisk } from './layer-disk.ts';
import type { Exclusive, Keyed } from './mutex.ts';
import { type AddLayerOptions, type Descriptor, type Digest, type LayerInfo, MEDIA } from './types.ts';

export interface LayersDeps {
  disk: LayerDisk;
  blobs: Blobs;
  temp: TempFiles;
  holds: Holds;
  /** The store's structure lock: while it is held, garbage collection does not run. */
  exclusive: Exclusive;
  /** One piece of work at a time for each layer and each blob. */
  oneAtATime: Keyed;
  now: () => number;
}

export interface Layers {
  /** Owns `tar`: reads it to its end or destroys it. Spooled, compressed and digested in one pass, then unpacked from the blob. */
  add(tar: Readable, options: AddLayerOptions): Promise<LayerInfo>;
  /** Makes a layer whole again from its blob. @throws WaferError `digest_mismatch` */
  restore(diffId: Digest, blob: Descriptor, createdBy: string): Promise<void>;
  /** The uncompressed tar, checked against the diff id. */
  export(diffId: Digest): Promise<Readable>;
}

/** Same bytes for the same tar: the header that Node writes has no time and no name. */
const GZIP_LEVEL = 6;
const FAST_GZIP_LEVEL = 1;

interface Spooled {
  diffId: Digest;
  tarBytes: number;
  blob: Descriptor;
}

/** Not the handle's own write stream: that one keeps the handle open for ever, or closes it before the fsync. */
function sinkOf(file: FileHandle): Writable {
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      file.writeFile(chunk).then(() => done(), done);
    },
  });
}

async function spool(tar: Readable, file: FileHandle, level: number, signal?: AbortSignal): Promise<Spooled> {
  const raw = digestTap();
  const packed = digestTap();
  await pipeline(tar, raw.stream, createGzip({ level }), packed.stream, sinkOf(file), signal ? { signal } : {});
  const { digest: diffId, bytes: tarBytes } = raw.result();
  const { digest, bytes: size } = packed.result();
  return { diffId, tarBytes, blob: { mediaType: MEDIA.layerGzip, digest, size } };
}

/** Blob, directory, record; after a failure nothing that was not there before. */
async function install(
  { disk, blobs, now }: LayersDeps,
  { diffId, blob, tarBytes }: Spooled,
  place: () => Promise<void>,
  { createdBy, signal }: Pick<AddLayerOptions, 'createdBy' | 'signal'>,
): Promise<LayerInfo> {
  const hadBlob = await blobs.has(blob.digest);
  try {
    await place();
    await disk.unpack(diffId, blob, signal);
    const info: LayerInfo = { diffId, blob, tarBytes, createdBy, createdAt: now() };
    await disk.writeRecord(info);
    return info;
  } catch (error) {
    if (!hadBlob) {
      // The first failure is the cause; what can not be removed now is left to garbage collection.
      await disk.remove(hexOf(diffId)).catch(() => undefined);
      await blobs.remove(blob.digest).catch(() => undefined);
    }
    throw error;
  }
}

async function scan(tar: Readable): Promise<{ digest: Digest; bytes: number }> {
  const tap = digestTap();
  await pipeline(tar, tap.stream, new Writable({ write: (_chunk, _encoding, done) => done() }));
  return tap.result();
}

export function createLayers(deps: LayersDeps): Layers {
  const { disk, blobs, temp, holds, exclusive, oneAtATime, now } = deps;

  /** Finds the layer and keeps it from garbage collection for the grace time, in one step. */
  const claim = (diffId: Digest) =>
    exclusive(async () => {
      const found = await disk.get(diffId);
      if (found !== null) holds.refresh(diffId);
      return found;
    });

  /** The same; what is not there is held before collection can run again, since it is about to be made. */
  const claimOrHold = (diffId: Digest, blob: Digest) =>
    exclusive(async () => {
      const found = await disk.get(diffId);
      if (found !== null) holds.refresh(diffId);
      return found ?? holds.hold([diffId, blob]);
    });

  const addSpooled = (spooled: Spooled, place: () => Promise<void>, options: AddLayerOptions): Promise<LayerInfo> =>
    oneAtATime(spooled.diffId, async () => {
      const found = await claimOrHold(spooled.diffId, spooled.blob.digest);
      if (!('release' in found)) return found;
      try {
        const info = await install(deps, spooled, place, options);
        holds.refresh(info.diffId);
        return info;
      } finally {
        found.release();
      }
    });

  const add = (tar: Readable, options: AddLayerOptions): Promise<LayerInfo> =>
    temp.use(async (file, commit) => {
      const { expectedDiffId, fast = false, signal } = options;
      const spooled = await spool(tar, file, fast ? FAST_GZIP_LEVEL : GZIP_LEVEL, signal);
      const { diffId, blob } = spooled;
      if (expectedDiffId !== undefined && expectedDiffId !== diffId)
        throw mismatch('The layer', expectedDiffId, diffId);
      return addSpooled(spooled, () => commit(blobs.path(blob.digest)), options);
    });

  return {
    async add(tar, options) {
      const { expectedDiffId } = options;
      try {
        const found = expectedDiffId === undefined ? null : await claim(expectedDiffId);
        return found ?? (await add(tar, options));
      } catch (error) {
        options.signal?.throwIfAborted();
        throw error;
      } finally {
        tar.destroy();
      }
    },
    async restore(diffId, blob, createdBy) {
      const { digest, bytes } = await scan(await disk.openTar(blob));
      if (digest !== diffId) throw mismatch(`The content of blob ${blob.digest}`, diffId, digest);
      await disk.unpack(diffId, blob);
      await disk.writeRecord({ diffId, blob, tarBytes: bytes, createdBy, createdAt: now() });
    },
    async export(diffId) {
      const info = await disk.get(diffId);
      if (info === null) throw new WaferError('not_found', `The store has no layer ${diffId}.`);
      return pipe(await disk.openTar(info.blob), digestGate({ digest: diffId }, `Layer ${diffId}`), () => undefined);
    },
  };
}
