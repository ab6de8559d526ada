/**
 * A cap on what a build step writes. No file system that an ordinary user has counts for one directory, so the
 * upper is measured again and again: a step can be over its cap for as long as a look takes, no longer. A file that was
 * removed while it is open is not seen; it is in no layer, and goes with the step.
 */
import { SandboxError, type SandboxHost } from '../../../runtime/sandbox/index.ts';

export interface DiskWatch {
  isOver(): boolean;
  /** Looks once more, when the program has ended. */
  end(): Promise<void>;
  stop(): void;
}

const EVERY_MS = 1_000;
/** A look at a large tree costs something: it gets a tenth of the time at most. */
const REST = 9;

/** A tree that is deeper than a layer may be hides what lies there. An engine that is gone took the program with it. */
const unmeasured = (error: unknown): number =>
  error instanceof SandboxError && error.code === 'measure_failed' ? Number.POSITIVE_INFINITY : 0;

/** `onOver` is called once, while the program may still run. */
export function watchDisk(
  host: Pick<SandboxHost, 'measureWork'>,
  work: string,
  maxBytes: number,
  onOver: () => void,
  everyMs = EVERY_MS,
): DiskWatch {
  let over = false;
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  const look = async () => {
    const begun = performance.now();
    const bytes = await host.measureWork(work).catch(unmeasured);
    if (bytes > maxBytes && !over) {
      over = true;
      onOver();
    }
    return performance.now() - begun;
  };
  const again = (tookMs: number) => {
    if (stopped || over) return;
    timer = setTimeout(() => void look().then(again), Math.max(everyMs, REST * tookMs));
  };
  again(0);
  const stop = () => {
    stopped = true;
    clearTimeout(timer);
  };
  return {
    isOver: () => over,
    async end() {
      stop();
      if (!over) await look();
    },
    stop,
  };
}
