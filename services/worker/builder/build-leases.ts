/** What one build holds of the store until its version is published or given up. */
import type { Digest, ImageStore, LayerInfo } from '../../core/images/types.ts';
import type { Log } from '../../core/log.ts';

export interface BuildLeases {
  hold(digest: Digest): void;
  /** Held now, and not worth keeping when the build fails. */
  made(layer: LayerInfo): LayerInfo;
  /** Not worth keeping when the build fails. */
  newlyMade(digest: Digest): void;
  /** Idempotent. */
  release(): void;
  /** The build failed: what it made goes, unless others use it. Never rejects: why the build failed counts more. */
  discard(): Promise<void>;
}

export function openBuildLeases(images: ImageStore, log: Pick<Log, 'warn'>): BuildLeases {
  const leases: { release(): void }[] = [];
  const made: Digest[] = [];
  const hold = (digest: Digest) => void leases.push(images.lease([digest]));
  const release = () => {
    for (const lease of leases.splice(0)) lease.release();
  };
  return {
    hold,
    made(layer) {
      hold(layer.diffId);
      made.push(layer.diffId);
      return layer;
    },
    newlyMade: (digest) => void made.push(digest),
    release,
    async discard() {
      release();
      if (made.length === 0) return;
      images.forget(made);
      await images.collectGarbage().catch((err: unknown) => log.warn({ err }, 'garbage could not be collected'));
    },
  };
}
