/**
 * Invocations that are accepted first and run later: async calls, batches, schedules,
 * webhooks, chains, replays. Accepted means written; from then on it runs to exactly one
 * visible outcome, whatever crashes in between.
 *
 * `DurableCalls` accepts, reads, cancels; `Attempts` is the worker's side. Both are over
 * the same scripts (`store/scripts/durable.ts`), where every step of an invocation's life is
 * one atomic step that checks the lock of the attempt.
 */
import type { Claim } from '../../queue/types.ts';
import type { Failure, Outcome, Receipt } from '../types.ts';
import type { DurableQuery } from './list.ts';

export const TRIGGERS = ['async', 'batch', 'schedule', 'webhook', 'chain', 'replay'] as const;
export type DurableTrigger = (typeof TRIGGERS)[number];

/** `queued` also while it waits for its time, for a retry, or for room; the others last are final. */
export const STATES = ['queued', 'running', 'succeeded', 'failed', 'cancelled', 'expired'] as const;
export type DurableState = (typeof STATES)[number];
export const FINAL_STATES: readonly DurableState[] = ['succeeded', 'failed', 'cancelled', 'expired'];

/** Bytes of an event or a result: small ones in Redis, large ones in a file of the store. */
export type StoredBody = { contentType: string; bytes: number } & (
  | { inline: string } // base64
  | { inline?: undefined; digest: string } // sha256 of the file, in hex
);

/** When and how often. From `wafer.json` (`retries`), then what the request says. */
export interface RetryPolicy {
  /** 1 to 100, the first included. */
  attempts: number;
  backoff: {
    kind: 'fixed' | 'exponential';
    delayMs: number;
    maxDelayMs: number /** 0 to 1: that share of a delay is random. */;
    jitter: number;
  };
  /** Outcome kinds, and names of error classes as `error:TypeError`; empty: all that may succeed another time. */
  retryOn: readonly string[];
  /** From acceptance, or from `runAt`; then it is `expired`. */
  maxAgeMs: number;
}

export interface AcceptRequest {
  functionName: string;
  /** Resolved when it is accepted: a later deploy does not change what was accepted. */
  version: number;
  trigger: DurableTrigger;
  /** The schedule, the webhook, the invocation that it continues or replays. */
  origin?: string;
  /** How many invocations led to this one. */
  depth: number;
  body: Buffer;
  contentType: string;
  runAt?: number;
  /** 0 (first) to 9. */
  priority?: number;
  retry: RetryPolicy;
  /** Calls with the same key of one function run one after another, up to `concurrency` of its limits. */
  concurrencyKey?: string;
  limits: CallLimits;
  /** Its version writes to a volume in one step, which may be done before its outcome is. */
  transaction?: true;
  idempotencyKey?: string;
  callbackUrl?: string;
  /** Of the version: what follows its end, also when the version is gone by then. */
  followers: Followers;
}

/** Each the name of a function, or a URL. */
export interface Followers {
  onSuccess?: string;
  onFailure?: string;
}

/** Of the version; undefined: no limit of its own. */
export interface CallLimits {
  /** At once, over all workers. */
  concurrency?: number;
  /** At once for one `concurrencyKey`. */
  concurrencyPerKey?: number;
  /** Starts per period, smoothed; `burst` may come together. */
  rate?: { count: number; periodMs: number; burst: number };
  /** Accepted and not ended yet; more are refused with `overloaded`. Undefined: what the platform says. */
  pending?: number;
}

/** The last two: of what follows its end. */
export const EVENTS = [
  'accepted',
  'waiting',
  'attempt_failed',
  'attempt_lost',
  ...STATES,
  'delivered',
  'undelivered',
] as const;

export interface TimelineEntry {
  at: number;
  event: (typeof EVENTS)[number];
  attempt?: number;
  /** Why, for a person. */
  reason?: string;
  /** When it comes again. */
  next?: number;
}

export interface DurableRecord {
  id: string;
  functionName: string;
  version: number;
  trigger: DurableTrigger;
  origin?: string;
  depth: number;
  state: DurableState;
  acceptedAt: number;
  runAt?: number;
  startedAt?: number;
  finishedAt?: number;
  attempts: number;
  /** Attempts that ended with their worker. */
  crashes: number;
  timeline: TimelineEntry[];
  request: StoredBody;
  result?: StoredBody;
  outcome?: Outcome;
  receipt?: Receipt;
  concurrencyKey?: string;
  callbackUrl?: string;
  onSuccess?: string;
  onFailure?: string;
}

export type Accepted =
  | { kind: 'accepted'; id: string }
  /** The same key and body came before. */
  | { kind: 'repeated'; id: string };

export interface DurableCalls {
  /**
   * Resolves when it is on disk.
   * @throws WaferError `overloaded` (with `retryAfterMs`), `idempotency_conflict`, `store_unavailable`, `payload_too_large`
   */
  accept(request: AcceptRequest): Promise<Accepted>;
  /** Each on its own; results in the same order. */
  acceptAll(requests: readonly AcceptRequest[]): Promise<(Accepted | { kind: 'refused'; error: unknown })[]>;
  /** @throws WaferError `invocation_not_found` */
  get(id: string): Promise<DurableRecord>;
  /** Newest first; null: the last page. @throws WaferError `store_unavailable` */
  list(query: DurableQuery): Promise<{ records: DurableRecord[]; cursor: string | null }>;
  /** Of an invocation without a result: nothing. @throws WaferError `digest_mismatch` */
  readBody(record: DurableRecord, part: 'event' | 'result'): Promise<Buffer>;
  /** Resolves with the record when it has ended, or as it is when the time is over or `signal` aborts. */
  wait(id: string, ms: number, signal: AbortSignal): Promise<DurableRecord>;
  /** Of a final one: nothing changes. */
  cancel(id: string, reason: string): Promise<DurableRecord>;
}

/** What an attempt ended with. The bytes of a result are the caller's until `settle` resolves. */
export type AttemptEnd =
  | { kind: 'ok'; result: Buffer; contentType: string; receipt: Receipt }
  /** `final`: another attempt is of no use. */
  | { kind: 'failure'; failure: Failure; receipt: Receipt | null; final: boolean }
  /** The platform could not run it now; it does not count as an attempt. */
  | { kind: 'back'; reason: string; next: number }
  /** Nothing ran: an attempt whose worker was gone had written what the invocation writes. Its result is lost. */
  | { kind: 'written' }
  /** Nothing ran, and nothing was written; only of an attempt that `lost` says something of. */
  | { kind: 'lost' };

/** A claim that may run now. */
export interface Attempt {
  record: DurableRecord;
  number: number;
  /** Cancelled, or the claim is lost. */
  signal: AbortSignal;
  event: Buffer;
  /** It is not to run: the attempt before was lost, and ends the invocation so, unless it had written (`transaction`). */
  lost?: 'failed' | 'cancelled' | 'expired';
}

/** The worker's side. */
export interface Attempts {
  /** Null when it has nothing to run: it ended, waits for room, or is not known; `next` says when it comes again. */
  begin(claim: Claim): Promise<Attempt | { next: number | null }>;
  /** Commits, unless the claim was lost: then what it ended with is dropped and counted. Null: it is over. */
  settle(claim: Claim, attempt: Attempt, end: AttemptEnd): Promise<{ next: number | null }>;
}
