/**
 * Collects small writes and sends them together, behind the answer of the call they
 * belong to. Adding never throws, never waits, and memory is bounded: what comes when
 * the buffer is full is dropped and told to `onDrop`.
 */
import { WaferError } from '../errors.ts';

export interface BatcherOptions<T> {
  /** Longest time that an item waits for others. */
  flushMs: number;
  maxBatchItems: number;
  maxBatchBytes: number;
  maxPendingItems: number;
  maxPendingBytes: number;
  sizeOf: (item: T) => number;
  /** All or nothing. A batch is sent again when this fails because the store is away, and dropped when it fails for itself. */
  write: (batch: T[]) => Promise<void>;
  /** Must not throw. */
  onDrop: (items: T[]) => void;
  /** Once when the store goes away, not for each try. Must not throw. */
  onError: (error: unknown) => void;
  /** All that was added is written. May add more. Must not throw. */
  onEmpty?: () => void;
}

export interface Batcher<T> {
  add(item: T): void;
  pending(): number;
  /** Resolves when all that was added before is written, dropped, or could not be written now. Never rejects. */
  flush(): Promise<void>;
}

const RETRY_MS = 250;

export function createBatcher<T>(options: BatcherOptions<T>): Batcher<T> {
  const pending = createPending(options);
  const waiters = createWaiters();
  let isPumping = false;
  let isAway = false;
  let timer: NodeJS.Timeout | null = null;

  const schedule = (delayMs: number) => {
    if (timer !== null || isPumping || pending.count() === 0) return;
    // Not a reason to stay alive: a shutdown flushes, and a store that is away must not keep the process.
    timer = setTimeout(pump, delayMs).unref();
  };

  /** Sends until nothing is left or the store is away. @returns whether all of it was written */
  const drain = async (): Promise<boolean> => {
    let isWritten = true;
    for (let batch = pending.head(); batch.length > 0; batch = pending.head()) {
      const error = await failureOf(options.write(batch));
      const wasAway = isAway;
      isAway = error instanceof WaferError;
      if (error !== null && !wasAway) options.onError(error);
      if (isAway) return false;
      pending.remove(batch);
      if (error !== null) options.onDrop(batch);
      if (error !== null) isWritten = false;
      waiters.settle(batch.length);
    }
    return isWritten;
  };

  function pump(): void {
    if (timer !== null) clearTimeout(timer);
    timer = null;
    if (isPumping) return;
    isPumping = true;
    void drain().then((isWritten) => {
      isPumping = false;
      if (isWritten) options.onEmpty?.();
      if (isAway) waiters.giveUp();
      schedule(isWritten ? options.flushMs : RETRY_MS);
    });
  }

  return {
    add: (item) => {
      if (!pending.add(item)) return options.onDrop([item]);
      waiters.expectOne();
      if (pending.count() >= options.maxBatchItems && !isAway) pump();
      else schedule(options.flushMs);
    },
    pending: pending.count,
    flush: () => waiters.wait(pump),
  };
}

/** The items in order, oldest first, within the limits. */
function createPending<T>({ sizeOf, ...limits }: BatcherOptions<T>) {
  let items: T[] = [];
  let bytes = 0;
  return {
    count: () => items.length,
    /** @returns false when there is no room. */
    add: (item: T): boolean => {
      const size = sizeOf(item);
      if (items.length >= limits.maxPendingItems || bytes + size > limits.maxPendingBytes) return false;
      items.push(item);
      bytes += size;
      return true;
    },
    /** The next batch; at least one item, so that one that is larger than a batch still goes. */
    head: (): T[] => {
      let batchBytes = 0;
      let count = 0;
      for (const item of items.slice(0, limits.maxBatchItems)) {
        batchBytes += sizeOf(item);
        if (count > 0 && batchBytes > limits.maxBatchBytes) break;
        count++;
      }
      return items.slice(0, count);
    },
    /** `batch` must be what `head` gave last. */
    remove: (batch: T[]) => {
      items = items.slice(batch.length);
      bytes -= batch.reduce((sum, item) => sum + sizeOf(item), 0);
    },
  };
}

/** Who waits for what was added so far; later items are not theirs, so a flood does not keep them. */
function createWaiters() {
  let added = 0;
  let settled = 0;
  let waiting: { until: number; resolve: () => void }[] = [];
  const release = (upTo: number) => {
    const ready = waiting.filter(({ until }) => until <= upTo);
    waiting = waiting.filter(({ until }) => until > upTo);
    for (const { resolve } of ready) resolve();
  };
  return {
    expectOne: () => void added++,
    settle: (count: number) => {
      settled += count;
      release(settled);
    },
    giveUp: () => release(Number.POSITIVE_INFINITY),
    wait: (start: () => void): Promise<void> => {
      if (settled >= added) return Promise.resolve();
      return new Promise((resolve) => {
        waiting.push({ until: added, resolve });
        start();
      });
    },
  };
}

async function failureOf(work: Promise<void>): Promise<unknown> {
  try {
    await work;
    return null;
  } catch (error) {
    return error ?? new Error('unknown');
  }
}
