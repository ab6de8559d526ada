/** What is true now of the next start of a version, for `wafer explain`. */
import { baseLayersOf } from '../../core/functions/image-config.ts';
import type { FunctionVersion } from '../../core/functions/types.ts';
import type { ImageStore } from '../../core/images/types.ts';
import type { StartFacts } from '../../core/invocations/types.ts';
import type { Blanks } from '../blanks/index.ts';
import type { Instance } from '../instances/instance.ts';
import { planInstance } from '../instances/plan.ts';
import type { Pool } from '../pool/pool.ts';

export interface StartFactsDeps {
  images: ImageStore;
  blanks: Pick<Blanks, 'whyNone'>;
  pool: Pick<Pool<Instance>, 'usedMb'>;
  blanksKept: number;
  memoryBudgetMb: number;
}

/** @throws WaferError `image_not_found` when its image is damaged */
export async function readStartFacts(version: FunctionVersion, deps: StartFactsDeps): Promise<StartFacts> {
  const { images, blanks, pool, blanksKept, memoryBudgetMb } = deps;
  const plan = await planInstance(version, images);
  try {
    const { digest, config, layers } = await images.get(version.image);
    const count = baseLayersOf({ name: digest, config: config.config, layers: layers.length });
    const none = blanks.whyNone(version, plan);
    return {
      blank: none === 'none_ready' ? 'fits' : none,
      blanksKept,
      memoryBudgetMb,
      memoryUsedMb: pool.usedMb(),
      layers: (count === 0 ? [] : layers.slice(count)).map(({ createdBy, blob }) => ({ createdBy, bytes: blob.size })),
    };
  } finally {
    plan.lease.release();
  }
}
