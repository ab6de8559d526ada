/** One layer on disk: record, blob, unpacked directory. No decisions here; see layers.ts. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline as pipe, type Readable } from 'node:stream';
import { isErrno, WaferError } from '../errors.ts';
import { type Aside, createAsides } from './asides.ts';
import type { Blobs } from './blobs.ts';
import { decompressor } from './compression.ts';
import { hexOf, isDigest } from './digest.ts';
import { isLayerInfo } from './documents.ts';
import { removeFile, type TempFiles } from './durable.ts';
import { exists, type Layout } from './layout.ts';
import type { Descriptor, Digest, LayerInfo, LayerUnpacker } from './types.ts';
import { createUnpacking } from './unpacking.ts';
import { type Verified, verifiedTar } from './verified-tar.ts';

export interface LayerDisk {
  /** Null unless record, blob and directory are all there. */
  get(diffId: Digest): Promise<LayerInfo | null>;
  writeRecord(info: LayerInfo): Promise<void>;
  /** The uncompressed tar in a blob; errors when the blob is damaged. */
  openTar(blob: Descriptor): Promise<Readable>;
  /** @throws WaferError `engine_failed | disk_full | digest_mismatch` */
  unpack(diffId: Digest, blob: Descriptor, signal?: AbortSignal): Promise<void>;
  /** Owns `tar`. The caller drops what it got, whatever happens. @throws as `unpack` */
  unpackAside(tar: Readable, signal?: AbortSignal): Promise<Aside>;
  /** The same by who has the files; null when it could not be done. */
  adopt(adopt: (layer: string) => Promise<boolean>): Promise<Aside | null>;
  /** The same for a blob that nobody has looked into: there is a layer only if the content has the diff id. */
  unpackVerified(diffId: Digest, blob: Descriptor, signal?: AbortSignal): Promise<Verified>;
  /** Record first, then the directory. */
  remove(hex: string): Promise<void>;
  /** Diff ids of all records, and the names in `layers/`. */
  list(): Promise<{ recorded: Digest[]; names: string[] }>;
  /** How many layers are being unpacked now. */
  unpacking(): number;
}

/** Its digest was wrong, or it could not be decompressed; as opposed to a reader that went away. */
const isOfStream = (error: unknown): boolean =>
  error instanceof WaferError ||
  (error instanceof Error && 'code' in error && /^Z_|^ERR_ZSTD|^ZSTD/.test(String(error.code)));

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

export function createLayerDisk(
  layout: Layout,
  blobs: Blobs,
  temp: TempFiles,
  unpacker: LayerUnpacker,
  unpackMs?: number,
): LayerDisk {
  const recordPath = (hex: string) => join(layout.meta, `${hex}.json`);
  const asides = createAsides(layout.layers, unpacker);
  const unpacking = createUnpacking(unpacker, unpackMs);

  const openTar = async (blob: Descriptor): Promise<Readable> => {
    const compressed = await blobs.read(blob.digest);
    const unpacked = decompressor(blob.mediaType);
    return unpacked === null ? compressed : pipe(compressed, unpacked, () => undefined);
  };

  const unpackTar = (diffId: Digest, tar: Readable, signal?: AbortSignal): Promise<void> =>
    unpacking.into(hexOf(diffId), `layer ${diffId}`, tar, signal);

  return {
    async get(diffId) {
      const hex = hexOf(diffId);
      const [info, isUnpacked] = await Promise.all([
        readRecord(recordPath(hex), diffId),
        exists(join(layout.layers, hex)),
      ]);
      return info !== null && isUnpacked && (await blobs.has(info.blob.digest)) ? info : null;
    },
    writeRecord: (info) => temp.writeWhole(recordPath(hexOf(info.diffId)), JSON.stringify(info)),
    openTar,
    unpack: async (diffId, blob, signal) => unpackTar(diffId, await openTar(blob), signal),
    unpackAside: (tar, signal) => asides.make((name) => unpacking.into(name, 'a layer', tar, signal)),
    async adopt(adopt) {
      let isAdopted = false;
      const aside = await asides.make(async (name) => {
        isAdopted = await adopt(name);
      });
      if (!isAdopted) await aside.drop();
      return isAdopted ? aside : null;
    },
    async unpackVerified(diffId, blob, signal) {
      const { stream, result } = verifiedTar(diffId);
      let broken: unknown;
      stream.once('error', (error) => {
        broken = error;
      });
      const source = await openTar(blob);
      try {
        await unpackTar(
          diffId,
          pipe(source, stream, () => undefined),
          signal,
        );
      } catch (error) {
        // Who unpacks saw only that the tar was cut off; the stream knows why.
        signal?.throwIfAborted();
        throw isOfStream(broken) ? broken : error;
      }
      return result();
    },
    async remove(hex) {
      await removeFile(recordPath(hex));
      await unpacker.remove(hex);
    },
    async list() {
      const recorded = (await readdir(layout.meta)).map((name) => `sha256:${name.replace(/\.json$/, '')}`);
      return { recorded: recorded.filter(isDigest), names: await readdir(layout.layers) };
    },
    unpacking: () => unpacking.active() + asides.open(),
  };
}
