/**
 * Hands accepted invocations to workers: each at least once, by time, priority and order.
 * It carries ids only. What an id means, and whether a turn counts, is decided by the
 * scripts in `invocations/durable`, which check the lock of the claim in the same step.
 */

export interface Ticket {
  /** Of the invocation; a second push of one that is there changes nothing. */
  id: string;
  /** Epoch ms; absent: as soon as possible. */
  runAt?: number;
  /** 0 (first) to 9; default 5. */
  priority?: number;
}

/** One worker's turn with one id. */
export interface Claim {
  id: string;
  /** The key and value that hold as long as the claim does; for scripts that commit. */
  lock: { key: string; token: string };
  /** Aborted when the claim may have been lost: another worker may have the id by now. */
  signal: AbortSignal;
}

/** What becomes of the id: it leaves the queue, or comes again. */
export type Turn = { kind: 'done' } | { kind: 'again'; at: number };

export interface CallQueue {
  /** Durable when it resolves. @throws WaferError `store_unavailable` */
  push(ticket: Ticket): Promise<void>;
  pushAll(tickets: readonly Ticket[]): Promise<void>;
  /** Those that wait for later get their turn now; unknown and running ones are passed over. */
  hurry(ids: readonly string[]): Promise<void>;
  /** Takes one out that nobody runs; false when somebody does, or it is not there. */
  remove(id: string): Promise<boolean>;
  counts(): Promise<QueueCounts>;
  close(): Promise<void>;
}

export interface QueueCounts {
  waiting: number;
  delayed: number;
  running: number;
}

export interface Consumer {
  /** Takes no more; resolves when the turns that run have ended. */
  close(): Promise<void>;
}

export interface ConsumeOptions {
  /** Turns at once. */
  concurrency: number;
  /** Must not throw for what its function does; a throw is a fault of the platform, and the id comes again. */
  turn: (claim: Claim) => Promise<Turn>;
  /** Once when it goes wrong, not for each try. Must not throw. */
  onError: (error: unknown) => void;
}
