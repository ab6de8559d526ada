/** Root file systems in and out: import makes an image of one layer, export makes one tar of all layers. */
import { addAbortSignal, pipeline, type Readable, Transform } from 'node:stream';
import { decompressed } from '../archive/decompress.ts';
import { ARCHIVE_LIMITS } from '../archive/spool.ts';
import { refuseArchive } from '../archive/tar-reader.ts';
import { applyChanges } from '../dockerfile/changes.ts';
import { createLayerIndexes } from '../dockerfile/layer-index.ts';
import { OWN_PREFIX } from '../reserved.ts';
import { openRootTar } from '../root-tar.ts';
import type { ImageService, ImageServiceDeps } from '../service.ts';
import { unpackRefusal } from '../unpack-refusal.ts';
import type { Tools } from './tools.ts';

type RootParts = Pick<ImageService, 'importRoot' | 'exportRoot'>;

/** Nothing but the tar decides the layer, so the same tar is the same layer. */
const CREATED_BY = 'wafer image import';

/** A root is a tar with something in it: a web page or an empty file would make an image of nothing. */
function checked(maxBytes: number): Transform {
  let bytes = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      if (bytes === 0 && chunk.length >= 512 && !isTarStart(chunk))
        return done(refuseArchive('it does not begin like a tar'));
      bytes += chunk.length;
      done(bytes > maxBytes ? refuseArchive(`it has more than ${maxBytes} bytes`) : null, chunk);
    },
    flush(done) {
      done(bytes < 512 ? refuseArchive('it is too short to be a tar') : null);
    },
  });
}

/** The checksum of the first header: also of tars that are older than `ustar`. */
function isTarStart(chunk: Buffer): boolean {
  const block = chunk.subarray(0, 512);
  if (block[0] === 0) return block.every((byte) => byte === 0);
  const text = block.toString('latin1', 148, 156).replace(/[\0 ]+/g, '');
  const sum = block.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 32 : byte), 0);
  return Number.parseInt(text, 8) === sum;
}

export function rootParts(deps: ImageServiceDeps, { find, detail, newName, cleaningUp }: Tools): RootParts {
  const { store, archiveLimits = {} } = deps;
  const indexes = createLayerIndexes(store);
  const addRoot = async (root: Readable, signal: AbortSignal) => {
    const gate = checked({ ...ARCHIVE_LIMITS, ...archiveLimits }.bytes);
    const tar = pipeline(await decompressed(addAbortSignal(signal, root)), gate, () => undefined);
    try {
      return await store.addLayer(tar, { createdBy: CREATED_BY, signal });
    } catch (error) {
      throw unpackRefusal(error, 'invalid_archive');
    } finally {
      root.destroy();
    }
  };
  return {
    async importRoot(root, { tag, message, changes, signal }) {
      try {
        const name = tag === undefined ? undefined : newName(tag);
        const config = applyChanges({}, changes);
        const layer = await cleaningUp(() => addRoot(root, signal));
        const image = await store.putImage({
          layers: [layer.diffId],
          config,
          history: [{ created_by: CREATED_BY, ...(message === undefined ? {} : { comment: message }) }],
          ...(name === undefined ? {} : { tag: name }),
        });
        if (name === undefined) await store.tag(image.digest, `${OWN_PREFIX.unnamed}${image.digest.slice(7, 19)}`);
        return detail(await store.get(image.digest));
      } finally {
        root.destroy();
      }
    },
    async exportRoot(name) {
      const image = await find(name);
      return { stream: await openRootTar(store, indexes, image), digest: image.digest };
    },
  };
}
