/**
 * A container's whole root as one tar: its image's layers and its writable one. The writable layer is read
 * to the disk first, so that the container stands still only for that long. Volumes are in no layer.
 */
import { Readable } from 'node:stream';
import type { Containers } from '../../core/containers/types.ts';
import { openSpool } from '../../core/functions/source/spool.ts';
import { applyLayer, readIndex } from '../../core/images/dockerfile/layer-index.ts';
import { rootTarOf } from '../../core/images/root-tar.ts';
import { whileStill } from './commit.ts';
import type { Context } from './context.ts';
import { upperOf } from './entry.ts';

export function createExport(context: Context): Containers['export'] {
  const { shelf, images, indexes, host, tmpDir } = context;
  return (ref) =>
    shelf.alone(ref, async (entry) => {
      const image = await images.get(entry.record.imageDigest);
      const tree = await indexes.tree(image.layers);
      const lease = images.lease([image.digest]);
      const spool = await openSpool(tmpDir);
      const release = () => {
        lease.release();
        void spool.close();
      };
      try {
        const upper = upperOf(entry);
        if (entry.record.startedAt !== null)
          await whileStill(entry, async () => {
            for await (const chunk of await host.pack(upper)) await spool.append(chunk as Buffer);
          });
        const open = async () => Readable.from(spool.read(0, spool.size), { objectMode: false });
        if (spool.size > 0) applyLayer(tree, await readIndex(await open(), upper));
        const exportLayer = (id: string) => (id === upper ? open() : images.exportLayer(id));
        return rootTarOf({ exportLayer }, tree).once('close', release);
      } catch (error) {
        release();
        throw error;
      }
    });
}
