/**
 * The time between calls of an instance: it stands still after a while, so that what its code
 * left running takes no processor time from others, and ends after a longer one.
 *
 * Freezing never races with a call: whoever takes the instance ends the rest first, in the
 * same turn, and the engine does what it is asked in order; a thaw ends a freeze that is under way. The
 * call itself need not wait for it: its frames are in the socket when the program goes on.
 */
import type { Sandbox } from '../../../runtime/sandbox/index.ts';

/**
 * A thaw puts some 0.3 ms on the next call (measured; by signals, too): nothing beside a start, much beside a
 * warm call. So an instance with a call every few seconds is never frozen.
 */
export const FREEZE_AFTER_MS = 5_000;

export interface Rest {
  /** The instance has nothing to do. `over` is told once, unless `end` comes first; again replaces it. */
  begin(ms: number, over: () => void): void;
  /** Before a call, and before it is asked to leave. */
  end(): void;
  /** The sandbox is gone. */
  stop(): void;
}

interface RestOptions {
  sandbox: Pick<Sandbox, 'freeze' | 'thaw'>;
  /** It can not be brought back to work. Must not throw. */
  onStuck: () => void;
}

export function createRest({ sandbox, onStuck }: RestOptions): Rest {
  let overTimer: NodeJS.Timeout | undefined;
  let freezeTimer: NodeJS.Timeout | undefined;
  let isFrozen = false;

  const freeze = () => {
    isFrozen = true;
    // Refused when a call came meanwhile, the sandbox ended, or a process can not be stopped: then it goes on as it is.
    sandbox.freeze().catch(() => {});
  };
  const stopTimers = () => {
    clearTimeout(overTimer);
    clearTimeout(freezeTimer);
  };
  return {
    begin(ms, over) {
      stopTimers();
      overTimer = setTimeout(over, ms).unref();
      if (!isFrozen) freezeTimer = setTimeout(freeze, FREEZE_AFTER_MS).unref();
    },
    end() {
      stopTimers();
      if (!isFrozen) return;
      isFrozen = false;
      sandbox.thaw().catch(onStuck);
    },
    stop: stopTimers,
  };
}
