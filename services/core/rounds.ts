/** Work that is done again and again, never twice at once. */
export interface Rounds {
  /** One round more, after those that run; the same as the timer does. Never rejects. */
  round(): Promise<void>;
  /** A round in so many ms, however often it is asked for until then. */
  hurry(ms: number): void;
  /** Begins no more; resolves when the one that runs has ended. */
  close(): Promise<void>;
}

export interface RoundsOptions {
  /** From the end of one to the beginning of the next. */
  everyMs: number;
  work: () => Promise<unknown>;
  /** Told when it begins to fail, not of each round that does. Must not throw. */
  onTrouble: (error: unknown) => void;
}

/** The first is after `everyMs`. */
export function startRounds({ everyMs, work, onTrouble }: RoundsOptions): Rounds {
  let running = Promise.resolve();
  let isFailing = false;
  let isClosed = false;
  let next: NodeJS.Timeout | undefined;
  let soon: NodeJS.Timeout | undefined;

  const once = () =>
    work().then(
      () => {
        isFailing = false;
      },
      (error: unknown) => {
        if (!isFailing) onTrouble(error);
        isFailing = true;
      },
    );
  const plan = () => {
    clearTimeout(next);
    if (!isClosed) next = setTimeout(round, everyMs).unref();
  };
  function round(): Promise<void> {
    running = running.then(once).then(plan);
    return running;
  }
  plan();
  return {
    round,
    hurry(ms) {
      if (isClosed) return;
      soon ??= setTimeout(() => {
        soon = undefined;
        void round();
      }, ms).unref();
    },
    async close() {
      isClosed = true;
      clearTimeout(next);
      clearTimeout(soon);
      await running;
    },
  };
}
