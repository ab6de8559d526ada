/** Counts what becomes of transactions, and what was refused for limits. */
import type { CommitResult, DiscardReason, FullMode, VolumeTotals } from '../../core/volumes/totals.ts';
import type { TxPolicy } from '../../core/volumes/types.ts';

export interface VolumeTally {
  commit(result: CommitResult): void;
  discard(reason: DiscardReason): void;
  conflict(policy: TxPolicy): void;
  full(mode: FullMode): void;
  /** A copy. */
  counts(): Omit<VolumeTotals, 'now'>;
}

export function createVolumeTally(): VolumeTally {
  const commits = { kept: 0, unchanged: 0, repeated: 0 };
  const discards: Partial<Record<DiscardReason, number>> = { aborted: 0, volume_conflict: 0, volume_full: 0 };
  const conflicts = { exclusive: 0, optimistic: 0 };
  const full = { rw: 0, tx: 0 };
  return {
    commit: (result) => void commits[result]++,
    discard: (reason) => {
      discards[reason] = (discards[reason] ?? 0) + 1;
    },
    conflict: (policy) => void conflicts[policy]++,
    full: (mode) => void full[mode]++,
    counts: () => ({
      commits: { ...commits },
      discards: { ...discards },
      conflicts: { ...conflicts },
      full: { ...full },
    }),
  };
}
