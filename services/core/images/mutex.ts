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
