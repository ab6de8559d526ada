/**
 * Unpacked layers whose name is not known yet: a tar is unpacked while its digest is computed.
 * Their names are temporary ones, which garbage collection takes when none is open.
 */
import { randomUUID } from 'node:crypto';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { hexOf } from './digest.ts';
import { syncDir } from './durable.ts';
import { exists } from './layout.ts';
import type { Digest, LayerUnpacker } from './types.ts';

export interface Aside {
  /** Where a directory is already, this one is not needed: that one came whole from the same bytes. */
  keepAs(diffId: Digest): Promise<void>;
  /** What was not kept is gone. Idempotent. */
  drop(): Promise<void>;
}

export interface Asides {
  /** `fill` makes the unpacked layer of the name. The caller drops what it got; a failure leaves nothing. */
  make(fill: (name: string) => Promise<void>): Promise<Aside>;
  open(): number;
}

/** As the engine's own temporaries. */
const PREFIX = 'tmp-aside-';

export function createAsides(layersDir: string, unpacker: Pick<LayerUnpacker, 'remove'>): Asides {
  let open = 0;
  return {
    open: () => open,
    async make(fill) {
      const name = `${PREFIX}${randomUUID()}`;
      let isThere = true;
      open += 1;
      const drop = async () => {
        if (!isThere) return;
        isThere = false;
        await unpacker.remove(name).finally(() => {
          open -= 1;
        });
      };
      try {
        await fill(name);
      } catch (error) {
        await drop().catch(() => undefined); // collection tries again; why it was not filled counts more
        throw error;
      }
      const keepAs = async (diffId: Digest) => {
        const place = join(layersDir, hexOf(diffId));
        if (await exists(place)) return;
        await rename(join(layersDir, name), place);
        isThere = false;
        open -= 1;
        await syncDir(layersDir);
      };
      return { keepAs, drop };
    },
  };
}
