/**
 * Adds layers. The record (`meta/<hex>.json`) is written last and removed first, so a layer
 * that has one is whole. What a crash leaves between is without a record: the next
 * attempt makes it whole, or garbage collection takes it.
 */
import { pipeline as pipe, type Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { WaferError } from '../errors.ts';
import type { Blobs } from './blobs.ts';
import { digestGate, digestTap, hexOf, mismatch } from './digest.ts';
import type { TempFiles } from './durable.ts';
import type { Holds } from './holds.ts';
import type { LayerDisk } from './layer-disk.ts';
import { type Spooled, spoolLayer } from './layer-spool.ts';
import type { Exclusive, Keyed } from './mutex.ts';
import { eachLimited } from './parallel.ts';
import type { AddLayerOptions, Descriptor, Digest, LayerInfo } from './types.ts';

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
  /** Owns `tar`: reads it to its end or destroys it. Digested, compressed and unpacked in one pass; its name comes last. */
  add(tar: Readable, options: AddLayerOptions): Promise<LayerInfo>;
  /** Makes a layer whole again from its blob. @throws WaferError `digest_mismatch` */
  restore(diffId: Digest, blob: Descriptor, createdBy: string): Promise<void>;
  /** The uncompressed tar, checked against the diff id. */
  export(diffId: Digest): Promise<Readable>;
}

/** Blob, directory, record; after a failure nothing that was not there before. */
async function install(
  { disk, blobs, now }: LayersDeps,
  { diffId, blob, tarBytes }: Spooled,
  place: () => Promise<void>,
  createdBy: string,
): Promise<LayerInfo> {
  const hadBlob = await blobs.has(blob.digest);
  try {
    await place();
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

  const addSpooled = (spooled: Spooled, place: () => Promise<void>, createdBy: string): Promise<LayerInfo> =>
    oneAtATime(spooled.diffId, async () => {
      const found = await claimOrHold(spooled.diffId, spooled.blob.digest);
      if (!('release' in found)) return found;
      try {
        const info = await install(deps, spooled, place, createdBy);
        holds.refresh(info.diffId);
        return info;
      } finally {
        found.release();
      }
    });

  const add = (tar: Readable, options: AddLayerOptions): Promise<LayerInfo> =>
    temp.use(async (file, commit) => {
      const { createdBy, expectedDiffId, signal } = options;
      const spooled = await spoolLayer(tar, file, options, disk);
      const { diffId, blob, aside } = spooled;
      try {
        if (expectedDiffId !== undefined && expectedDiffId !== diffId)
          throw mismatch('The layer', expectedDiffId, diffId);
        const keepBlob = () => commit(blobs.path(blob.digest));
        const place = async () => {
          if (aside !== null) return eachLimited([keepBlob, () => aside.keepAs(diffId)], 2, (keep) => keep());
          await keepBlob();
          await disk.unpack(diffId, blob, signal);
        };
        return await addSpooled(spooled, place, createdBy);
      } finally {
        await aside?.drop();
      }
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
