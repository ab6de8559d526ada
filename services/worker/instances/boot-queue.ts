/**
 * Boots of runtimes, as many at once as processors help: with more they only share them, and
 * all are ready later. What a call waits for comes first, in order of arrival. What is made
 * ahead comes after it, on half of the processors: the rest are for the calls that go on.
 */

/** Who waits for a boot: a call, the next calls (few are left), nobody yet. */
export type BootRank = 'call' | 'few' | 'ahead';

export interface BootQueue {
  /** Runs `boot` when it is its turn; settles as it does. */
  run<T>(boot: () => Promise<T>, rank: BootRank): Promise<T>;
}

/** One that takes longer goes on, but not in the way of others: programs of images may never get ready. */
const HOLD_MS = 250;

export function createBootQueue({ atOnce }: { atOnce: number }): BootQueue {
  const waiting: Record<BootRank, (() => void)[]> = { call: [], few: [], ahead: [] };
  const aheadAtOnce = Math.max(1, Math.floor(atOnce / 2));
  let running = 0;

  const next = () => {
    if (running >= atOnce) return undefined;
    const mayBeAhead = running < aheadAtOnce;
    return waiting.call.shift() ?? waiting.few.shift() ?? (mayBeAhead ? waiting.ahead.shift() : undefined);
  };
  const pump = () => {
    for (let start = next(); start !== undefined; start = next()) {
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
    async run(boot, rank) {
      await new Promise<void>((resolve) => {
        waiting[rank].push(resolve);
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
