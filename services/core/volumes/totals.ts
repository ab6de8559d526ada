/** What is counted of volumes, over all of them: no name of one is in it. */
import type { Failure } from '../invocations/types.ts';
import type { TxPolicy, VolumeUsage } from './types.ts';

/** `unchanged`: nothing was written; `repeated`: an earlier attempt of the invocation had been kept. */
export const COMMIT_RESULTS = ['kept', 'unchanged', 'repeated'] as const;
export type CommitResult = (typeof COMMIT_RESULTS)[number];

/** The outcome that the call had for it, or `aborted`: the platform could not go on, or an import. */
export type DiscardReason = Failure['kind'] | 'aborted';

/** How a volume that was full is written to. */
export type FullMode = 'rw' | 'tx';

export interface VolumeTotals {
  now: {
    volumes: number;
    snapshots: number;
    /** Those of states and snapshots, each once. */
    layers: number;
    /** Places where instances have volumes. */
    mounts: number;
    /** Of all layers; files that several share by links count in each. Null until it has been measured. */
    usage: VolumeUsage | null;
  };
  // Since the start. Each transaction is in one of the first two, once.
  commits: Record<CommitResult, number>;
  discards: Partial<Record<DiscardReason, number>>;
  /** Calls that ended as `volume_conflict`. */
  conflicts: Record<TxPolicy, number>;
  /** Calls and imports that ended as `volume_full`. */
  full: Record<FullMode, number>;
}
