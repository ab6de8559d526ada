/**
 * Between calls only pid 1 and the runtime may live in a sandbox. The watch looks a moment
 * after the last call, off its way, and before a call's room is given back when a busy
 * instance has not been seen without calls for too long.
 */

import type { Sandbox } from '../../../runtime/sandbox/index.ts';

/** Time for what a call started to end by itself. */
const SETTLE_MS = 100;
/** An instance that always has a call is looked at between two of them this often. */
const UNSEEN_MS = 1_000;
const OWN_PROCESSES = 2;
/** A runtime has no more. */
const OWN_THREADS = 16;

export interface StrayWatchOptions {
  /** Processes in the sandbox, pid 1 included; null when it can not be told. Must not reject. */
  count: () => Promise<number | null>;
  /** Told once. Must not throw. */
  onStrays: (count: number) => void;
}

export interface StrayWatch {
  /** A call begins. */
  busy(): void;
  /** The last call has ended. */
  idle(): void;
  /** True when the next call must not begin before `look` has resolved. */
  overdue(): boolean;
  look(): Promise<void>;
  stop(): void;
}

export function createStrayWatch({ count, onStrays }: StrayWatchOptions): StrayWatch {
  let timer: NodeJS.Timeout | undefined;
  /** When the first call ended that nobody looked after yet. */
  let unseenSince: number | undefined;
  let calls = 0;
  let isStopped = false;

  const stop = () => {
    isStopped = true;
    clearTimeout(timer);
  };
  const look = async () => {
    const before = calls;
    const processes = await count();
    // What a call started meanwhile may still belong to it.
    if (isStopped || processes === null || calls !== before) return;
    unseenSince = undefined;
    if (processes <= OWN_PROCESSES) return;
    stop();
    onStrays(processes - OWN_PROCESSES);
  };
  return {
    busy() {
      calls++;
      clearTimeout(timer);
    },
    idle() {
      unseenSince ??= performance.now();
      clearTimeout(timer);
      if (!isStopped) timer = setTimeout(() => void look(), SETTLE_MS).unref();
    },
    overdue: () => !isStopped && unseenSince !== undefined && performance.now() - unseenSince > UNSEEN_MS,
    look,
    stop,
  };
}

/** `limit`: processes and threads that it may have. */
export const watchSandbox = (
  sandbox: Pick<Sandbox, 'stats'>,
  limit: number,
  onStrays: StrayWatchOptions['onStrays'],
): StrayWatch =>
  createStrayWatch({
    count: () =>
      sandbox.stats().then(
        // Those that ended and nobody waited for are none, but would take the room of the next call's.
        ({ processes, pids }) => (pids !== null && pids > limit / 2 + OWN_THREADS ? pids : processes),
        () => null, // it has ended
      ),
    onStrays,
  });
