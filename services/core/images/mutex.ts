export type Exclusive = <T>(work: () => Promise<T>) => Promise<T>;

/** Runs one piece of work at a time, in the order of the calls. Not re-entrant. */
export function createMutex(): Exclusive {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const run = last.then(work, work);
    last = run.catch(() => undefined);
    return run;
  };
}

/**
 * Work that looks at everything: who asks while a run waits for its turn gets that run's result, so that many who ask
 * at once do not each wait for all before them. Each result is of a run that began after it was asked for.
 */
export function createShared<T>(exclusive: Exclusive, work: () => Promise<T>): () => Promise<T> {
  let waiting: Promise<T> | undefined;
  return () => {
    waiting ??= exclusive(() => {
      waiting = undefined;
      return work();
    });
    return waiting;
  };
}

/** One piece of work at a time for each key. */
export type Keyed = <T>(key: string, work: () => Promise<T>) => Promise<T>;

export function createKeyedMutex(): Keyed {
  const waiting = new Map<string, { run: Exclusive; users: number }>();
  return async (key, work) => {
    const lock = waiting.get(key) ?? { run: createMutex(), users: 0 };
    waiting.set(key, lock);
    lock.users += 1;
    try {
      return await lock.run(work);
    } finally {
      lock.users -= 1;
      if (lock.users === 0) waiting.delete(key);
    }
  };
}
