/** What the pool needs, and what it gives. */
import type { FunctionVersion } from '../../core/functions/types.ts';
import type { CallerSignal } from '../../core/invocations/light-signal.ts';
import type { StartCause } from '../../core/invocations/types.ts';
import type { KeepAlivePolicy } from '../keep-alive/policy.ts';
import type { Ceiling } from './room.ts';

/** What the pool needs of an instance. */
export interface Pooled {
  readonly version: FunctionVersion;
  readonly state: 'starting' | 'idle' | 'busy' | 'ending';
  /** Calls that may still be given to it. */
  readonly free: number;
  readonly lastUsedAt: number;
  /** It ends with its call, and for the next one another is to be made ahead, as long as an idle one would be kept. */
  readonly isFollowed: boolean;
  /** It ends because what it was started with has changed: where one is kept, another takes its place. */
  readonly isOutdated: boolean;
  readonly ended: Promise<unknown>;
  take(): void;
  give(): void;
  /** Arms a timer that `take` disarms; it may be armed again, for another time. */
  whenIdleFor(ms: number, then: () => void): void;
  retire(): Promise<void>;
  end(reason: 'idle' | 'evicted' | 'killed'): Promise<void>;
}

export interface PoolOptions<T extends Pooled> {
  memoryBudgetMb: number;
  /** Besides. A call that waits for room below one that is strict fails when it has waited its `timeoutMs`. */
  ceilings?: readonly Ceiling[];
  /** An instance without calls ends after this time; with a policy only one of which that knows nothing. */
  idleMs: number;
  /** Default: the same time for all. */
  keepAlive?: KeepAlivePolicy;
  /** Calls that may wait over all versions; more are refused with `overloaded`. */
  maxWaiting: number;
  /**
   * Asks `isWanted` when it is about to do the work; told no, it does none of it and resolves to null. Calls that it
   * was for may have been served otherwise meanwhile.
   */
  start: (version: FunctionVersion, isWanted: () => boolean) => Promise<T | null>;
  /** Told about a start that failed and that no call waits for. Must not throw. */
  onStartFailed: (version: FunctionVersion, error: unknown) => void;
}

export interface Grant<T extends Pooled> {
  instance: T;
  /** This call started it: boot and init belong to its receipt. */
  started: boolean;
  /** Why it was started; null when it was there. */
  cause: StartCause | null;
  /** Must be called once, when the call has ended. */
  release(): void;
}

export interface Pool<T extends Pooled> {
  /** @throws WaferError `overloaded | shutting_down | sandbox_failed`, what ceilings refuse with, or the signal's reason */
  acquire(version: FunctionVersion, signal: CallerSignal): Promise<Grant<T>>;
  /**
   * Starts instances up to the version's `minInstances`, and keeps them: one that ends with or after a call is
   * followed by another. Those of the function's other versions end when idle. Resolves when they are there, or none
   * of them is on its way any more; until then those of the version that was kept before stay. False when another
   * version was kept meanwhile. Never rejects.
   */
  keepWarm(version: FunctionVersion): Promise<boolean>;
  /** The same; then the idle instances of the function's other versions end. */
  replace(version: FunctionVersion): Promise<void>;
  instances(): T[];
  waiting(): number;
  /** Of the budget, for all instances that live or start. */
  usedMb(): number;
  /** The sum over the same. */
  sumOf(amountOf: (version: FunctionVersion) => number): number;
  /** Ends idle instances of the function now and busy ones after their calls. */
  retire(functionName: string): Promise<void>;
  /** Refuses new calls, lets running ones finish until the signal aborts, then ends everything. */
  close(signal: AbortSignal): Promise<void>;
}
