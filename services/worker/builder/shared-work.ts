/**
 * Work that several callers want at the same time runs once. It is cut when all of them
 * have left, not when the first one leaves; each of them sees its output from when it came.
 */
import type { BuildOutput } from './build-sandbox.ts';

export interface Asked<T> {
  key: string;
  signal: AbortSignal;
  onOutput: BuildOutput;
  work: (onOutput: BuildOutput, signal: AbortSignal) => Promise<T>;
}

interface Job<T> {
  made: Promise<T>;
  stop: AbortController;
  listeners: Set<BuildOutput>;
}

/** `isOwn` is false for who joined the work of another. */
export type SharedWork<T> = (asked: Asked<T>) => Promise<{ value: T; isOwn: boolean }>;

export function createSharedWork<T>(): SharedWork<T> {
  const jobs = new Map<string, Job<T>>();

  const start = ({ key, work }: Asked<T>): Job<T> => {
    const stop = new AbortController();
    const listeners = new Set<BuildOutput>();
    const tellAll: BuildOutput = (stream, line) => {
      for (const listener of listeners) listener(stream, line);
    };
    const made = work(tellAll, stop.signal).finally(() => {
      if (jobs.get(key) === job) jobs.delete(key);
    });
    const job: Job<T> = { made, stop, listeners };
    jobs.set(key, job);
    return job;
  };

  return async (asked) => {
    asked.signal.throwIfAborted();
    const known = jobs.get(asked.key);
    const isOwn = known === undefined || known.stop.signal.aborted;
    const job = isOwn ? start(asked) : known;
    return { value: await untilLeft(job, asked), isOwn };
  };
}

/** The last one to leave waits until the work has ended, so that nothing of it is left. */
function untilLeft<T>({ made, stop, listeners }: Job<T>, { signal, onOutput }: Asked<T>): Promise<T> {
  listeners.add(onOutput);
  return new Promise((resolve, reject) => {
    const leave = () => {
      listeners.delete(onOutput);
      if (listeners.size === 0) stop.abort(signal.reason);
      else reject(signal.reason);
    };
    signal.addEventListener('abort', leave, { once: true });
    made.then(resolve, reject).finally(() => {
      signal.removeEventListener('abort', leave);
      listeners.delete(onOutput);
    });
  });
}
