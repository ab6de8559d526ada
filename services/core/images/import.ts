/**
 * Brings images from somewhere else into the store with their bytes as they are. While an
 * import runs, everything it needs is held; what a failed one leaves is whole but not
 * referred to, and garbage collection takes it.
 */
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { blobSink } from './blob-sink.ts';
import { digestOf, mismatch } from './digest.ts';
import { createdByOf } from './documents.ts';
import { type CheckedImage, checkImage } from './import-check.ts';
import type { LayersDeps } from './layers.ts';
import { eachLimited } from './parallel.ts';
import { type Descriptor, type Digest, type Image, type ImageImport, type ImportState, MEDIA } from './types.ts';
import { unpackRefusal } from './unpack-refusal.ts';
import { verifiedTar } from './verified-tar.ts';

/** Layers that are fetched and unpacked at a time. */
export const IMPORT_PARALLEL = 3;

export interface Importer {
  /** `publish` makes the image known; until then nobody can find it. */
  run(image: ImageImport, publish: (manifest: Descriptor) => Promise<Image>): Promise<Image>;
}

interface Layer {
  blob: Descriptor;
  diffId: Digest;
  createdBy: string;
}

type Report = (blob: Descriptor, state: ImportState) => void;

/** Each pair of blob and diff id once. */
function layersOf({ layers, config }: CheckedImage): Layer[] {
  const createdBy = createdByOf(config);
  const all = layers.map((layer, at) => ({ ...layer, createdBy: createdBy[at] ?? 'unknown' }));
  return all.filter(
    (one, at) => all.findIndex((other) => other.diffId === one.diffId && other.blob.digest === one.blob.digest) === at,
  );
}

/** That the blob's content is the layer we have: one that a config lies about must not get in. */
async function compare({ blob, diffId }: Layer, disk: LayersDeps['disk'], signal: AbortSignal): Promise<void> {
  const { stream } = verifiedTar(diffId);
  await pipeline(await disk.openTar(blob), stream, new Writable({ write: (_chunk, _encoding, done) => done() }), {
    signal,
  });
}

export function createImporter(deps: LayersDeps): Importer {
  const { disk, blobs, temp, holds, exclusive, oneAtATime, now } = deps;

  const fetchBlob = (blob: Descriptor, image: ImageImport, report: Report): Promise<void> =>
    oneAtATime(blob.digest, async () => {
      image.signal.throwIfAborted();
      if (await blobs.has(blob.digest)) return;
      report(blob, 'fetching');
      await temp.use(async (file, commit) => {
        const sink = blobSink(file, blob);
        await image.fetch(blob, sink, image.signal);
        sink.check();
        await commit(blobs.path(blob.digest));
      });
    });

  const unpackLayer = (layer: Layer, report: Report, signal: AbortSignal): Promise<void> =>
    oneAtATime(layer.diffId, async () => {
      signal.throwIfAborted();
      const { blob, diffId, createdBy } = layer;
      const found = await disk.get(diffId);
      if (found !== null) {
        if (found.blob.digest === blob.digest) return report(blob, 'exists');
        await compare(layer, disk, signal);
        return report(blob, 'done');
      }
      report(blob, 'unpacking');
      const { bytes } = await disk.unpackVerified(diffId, blob, signal);
      await disk.writeRecord({ diffId, blob, tarBytes: bytes, createdBy, createdAt: now() });
      report(blob, 'done');
    });

  const addLayers = async (checked: CheckedImage, image: ImageImport): Promise<void> => {
    const report: Report = (blob, state) => image.onLayer?.(blob, state);
    const stop = new AbortController();
    const signal = AbortSignal.any([image.signal, stop.signal]);
    await eachLimited(layersOf(checked), IMPORT_PARALLEL, async (layer) => {
      try {
        await fetchBlob(layer.blob, { ...image, signal }, report);
        await unpackLayer(layer, report, signal);
      } catch (error) {
        stop.abort(error);
        throw error;
      }
    });
  };

  return {
    async run(image, publish) {
      const checked = checkImage(image.manifest, image.config);
      const { manifest, layers } = checked;
      const digest = digestOf(image.manifest);
      if (digestOf(image.config) !== manifest.config.digest) {
        throw mismatch('The image config', manifest.config.digest, digestOf(image.config));
      }
      const needed = [digest, manifest.config.digest, ...layers.flatMap(({ blob, diffId }) => [blob.digest, diffId])];
      // Not while a collection runs: it may have decided already.
      const lease = await exclusive(async () => holds.hold(needed));
      try {
        await addLayers(checked, image);
        image.signal.throwIfAborted();
        await blobs.put(image.config, MEDIA.config);
        const descriptor = await blobs.put(image.manifest, manifest.mediaType);
        holds.refresh(digest);
        return await publish(descriptor);
      } catch (error) {
        image.signal.throwIfAborted();
        throw unpackRefusal(error);
      } finally {
        lease.release();
      }
    },
  };
}
