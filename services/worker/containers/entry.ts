/** One container while the platform runs: its record, and what is live of it. */
import type { Sandbox } from '../../../runtime/sandbox/index.ts';
import type { ContainerLog } from '../../core/containers/log.ts';
import { type ContainerRecord, toContainer } from '../../core/containers/record.ts';
import type { Container } from '../../core/containers/types.ts';
import type { Exclusive } from '../../core/images/mutex.ts';
import type { Lease } from '../../core/images/types.ts';
import type { Audience } from './audience.ts';
import type { HealthWatch } from './health.ts';
import type { OpenPorts } from './ports.ts';

/** From the start of its program until its record says that it ended. */
export interface Run {
  readonly sandbox: Sandbox;
  readonly ports: OpenPorts;
  health: HealthWatch | null;
  /** Somebody wants it to end: no policy starts it again. */
  isStopping: boolean;
  /** Resolves when the record says that it ended. */
  readonly over: Promise<void>;
}

export interface Entry {
  record: ContainerRecord;
  run: Run | null;
  readonly log: ContainerLog;
  readonly audience: Audience;
  /** What changes its state or uses its writable layer, one after the other. Never waits for itself. */
  readonly exclusive: Exclusive;
  readonly lease: Lease;
  /** While it waits to be started again. */
  restartTimer: NodeJS.Timeout | undefined;
  /** Ended soon after their start, one after the other. */
  failuresInARow: number;
  isRemoved: boolean;
  /** Told each time it stops running, and when it is removed. */
  readonly onStill: Set<() => void>;
}

/** Name of the upper in the work directory, and of the sandbox. */
export const UPPER_PREFIX = 'c-';
export const upperOf = ({ record }: Entry): string => `${UPPER_PREFIX}${record.id}`;

export const describe = ({ record, run }: Entry): Container =>
  toContainer(record, {
    health: run?.health?.status ?? null,
    pid: run?.sandbox.pid ?? null,
    ports: run?.ports.bindings ?? [],
  });

export function wakeWaiters({ onStill }: Entry): void {
  for (const wake of [...onStill]) wake();
}
