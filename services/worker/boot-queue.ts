/**
 * Boots of runtimes, as many at once as processors help: with more they only share them, and
 * all are ready later. What a call waits for comes first, in order of arrival; what is made
 * ahead comes after it.
 */

export interface BootQueue {
  /** Runs `boot` when it is its turn; settles as it does. */
  run<T>(boot: () => Promise<T>, options: { urgent: boolean }): Promise<T>;
}

/** One that takes longer goes on, but not in the way of others: programs of images may never get ready. */
const HOLD_MS = 250;

export function createBootQueue({ atOnce }: { atOnce: number }): BootQueue {
  const urgent: (() => void)[] = [];
  const others: (() => void)[] = [];
  let running = 0;

  const pump = () => {
    while (running < atOnce) {
      const start = urgent.shift() ?? others.shift();
      if (start === undefined) return;
      running++;
      start();
    }
  };
  const hold = (): (() => void) => {
    let isHeld = true;
    const leave = () => {
      clearTimeout(timer);
      if (!isHeld) return;
      isHeld = false;
      running--;
      pump();
    };
    const timer = setTimeout(leave, HOLD_MS);
    return leave;
  };
  return {
    async run(boot, { urgent: isUrgent }) {
      await new Promise<void>((resolve) => {
        (isUrgent ? urgent : others).push(resolve);
        pump();
      });
      const leave = hold();
      try {
        return await boot();
      } finally {
        leave();
      }
    },
  };
}
