/** One layer on disk: record, blob, unpacked directory. No decisions here; see layers.ts. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline as pipe, type Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { coerceError, isErrno, WaferError } from '../errors.ts';
import type { Blobs } from './blobs.ts';
import { hexOf, isDigest } from './digest.ts';
import { isLayerInfo } from './documents.ts';
import { removeFile, type TempFiles } from './durable.ts';
import { exists, type Layout } from './layout.ts';
import { type Descriptor, type Digest, type LayerInfo, type LayerUnpacker, MEDIA } from './types.ts';

export interface LayerDisk {
  /** Null unless record, blob and directory are all there. */
  get(diffId: Digest): Promise<LayerInfo | null>;
  writeRecord(info: LayerInfo): Promise<void>;
  /** The uncompressed tar in a blob; errors when the blob is damaged. */
  openTar(blob: Descriptor): Promise<Readable>;
  /** @throws WaferError `engine_failed | disk_full | digest_mismatch` */
  unpack(diffId: Digest, blob: Descriptor): Promise<void>;
  /** Record first, then the directory. */
  remove(hex: string): Promise<void>;
  /** Diff ids of all records, and the names in `layers/`. */
  list(): Promise<{ recorded: Digest[]; names: string[] }>;
  /** How many layers are being unpacked now. */
  unpacking(): number;
}

function unpackFailure(error: unknown, diffId: Digest): unknown {
  if (error instanceof WaferError) return error;
  const { message } = coerceError(error);
  if (/ENOSPC|EDQUOT|no space left|quota exceeded/i.test(message)) {
    return new WaferError('disk_full', `No space is left to unpack layer ${diffId}.`, {
      cause: error,
      hint: 'Free some space, or remove functions that are not needed; then try again.',
    });
  }
  return new WaferError('engine_failed', `Layer ${diffId} could not be unpacked: ${message}`, { cause: error });
}

async function readRecord(path: string, diffId: Digest): Promise<LayerInfo | null> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (isErrno(error, 'ENOENT')) return null;
    throw error;
  });
  try {
    const value: unknown = JSON.parse(text ?? 'null');
    return isLayerInfo(value, diffId) ? value : null;
  } catch {
    // Damaged: as good as none, the layer is made again.
    return null;
  }
}

export function createLayerDisk(layout: Layout, blobs: Blobs, temp: TempFiles, unpacker: LayerUnpacker): LayerDisk {
  const recordPath = (hex: string) => join(layout.meta, `${hex}.json`);
  let unpacking = 0;

  const openTar = async (blob: Descriptor): Promise<Readable> => {
    const compressed = await blobs.read(blob.digest);
    return blob.mediaType === MEDIA.layer ? compressed : pipe(compressed, createGunzip(), () => undefined);
  };

  return {
    async get(diffId) {
      const info = await readRecord(recordPath(hexOf(diffId)), diffId);
      if (info === null) return null;
      const isWhole = (await exists(join(layout.layers, hexOf(diffId)))) && (await blobs.has(info.blob.digest));
      return isWhole ? info : null;
    },
    writeRecord: (info) => temp.writeWhole(recordPath(hexOf(info.diffId)), JSON.stringify(info)),
    openTar,
    async unpack(diffId, blob) {
      const tar = await openTar(blob);
      unpacking += 1;
      try {
        await unpacker.unpack(hexOf(diffId), tar);
      } catch (error) {
        throw unpackFailure(error, diffId);
      } finally {
        unpacking -= 1;
        tar.destroy();
      }
    },
    async remove(hex) {
      await removeFile(recordPath(hex));
      await unpacker.remove(hex);
    },
    async list() {
      const recorded = (await readdir(layout.meta)).map((name) => `sha256:${name.replace(/\.json$/, '')}`);
      return { recorded: recorded.filter(isDigest), names: await readdir(layout.layers) };
    },
    unpacking: () => unpacking,
  };
}
