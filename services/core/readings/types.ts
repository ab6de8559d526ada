/** What the platform knows of itself at the moment it is asked; read at each scrape. */
import type { EgressVerdictName } from '../egress/types.ts';
import type { DurableCounts } from '../invocations/durable/counts.ts';
import type { InstanceInfo } from '../invocations/types.ts';
import type { VolumeTotals } from '../volumes/totals.ts';

export type InstanceState = InstanceInfo['state'];

/** By resource: `memory_bytes`, `cpu` in cores, `pids`. */
export interface InstanceSums {
  /** What instances that live or start may use together, by the limits of their versions. */
  used: Record<string, number>;
  /** What they may have together, where there is a limit. */
  limit: Record<string, number>;
}

export interface Readings {
  instances?: () => Record<InstanceState, number> | Promise<Record<InstanceState, number>>;
  sums?: () => InstanceSums;
  /** Booted runtimes without code. */
  blanks?: () => { ready: number; booting: number };
  /** Calls that wait for an instance. */
  queued?: () => number;
  store?: () => Promise<{ blobsBytes: number; layers: number; images: number }>;
  functions?: () => Promise<number>;
  engine?: () => Promise<{ sandboxes: number; fds: number; ids: number }>;
  /** What functions connect to; counts since the start. */
  egress?: () => { open: number; verdicts: Record<EgressVerdictName, number>; bytesUp: number; bytesDown: number };
  /** Volumes and their transactions. */
  volumes?: () => VolumeTotals;
  /** Calls that are accepted first. */
  durable?: () => Promise<DurableCounts>;
}
