/**
 * What follows the end of an accepted invocation: its callback URL, and `onSuccess` or
 * `onFailure` of its version, each a URL or a function.
 *
 * The script that ends an invocation puts it into the outbox in the same step; a sender takes it
 * from there. At least once: whoever receives tells repetitions by `webhook-id`, and a function
 * is started once, by the idempotency key.
 */
import type { DurableRecord } from '../../invocations/durable/types.ts';

export const TARGETS = ['callback', 'onSuccess', 'onFailure'] as const;
export type DeliveryTarget = (typeof TARGETS)[number];

/** `gone`: the receiver answered 410, and gets nothing for a day. The last three are final. */
export const DELIVERY_STATES = ['pending', 'delivered', 'failed', 'gone'] as const;
export type DeliveryState = (typeof DELIVERY_STATES)[number];

export interface DeliveryAttempt {
  at: number;
  durationMs: number;
  /** HTTP status of the answer. */
  status?: number;
  /** Why it did not work, for a person. */
  error?: string;
  /** Of a function that could not be started: which platform error it was. */
  code?: string;
}

export interface Delivery {
  target: DeliveryTarget;
  kind: 'url' | 'function';
  /** The URL, or the name of the function. */
  to: string;
  /** The same in every attempt: `webhook-id`. */
  messageId: string;
  state: DeliveryState;
  /** The latest ones, oldest first. */
  attempts: DeliveryAttempt[];
  /** Attempts since it was made, or sent again by hand. */
  tries: number;
  /** Of a pending one: when it is tried. */
  next?: number;
  /** That it started. */
  invocation?: string;
}

/** What is said of the invocation to a function that follows it. */
export interface FollowEvent {
  invocation: Pick<
    DurableRecord,
    | 'id'
    | 'functionName'
    | 'version'
    | 'trigger'
    | 'origin'
    | 'depth'
    | 'state'
    | 'acceptedAt'
    | 'finishedAt'
    | 'attempts'
    | 'outcome'
  >;
  /** JSON as it is, text as text, other bytes as `{contentType, base64}`; null when there is none, or it is too large. */
  request: unknown;
  result: unknown;
}

/** An answer of a receiver, or why there is none. */
export type Posted = { status: number; retryAfterMs?: number } | { error: string };

/** `whsec_...`: what receivers check signatures with. */
export interface SigningSecrets {
  secret: string;
  /** They sign, too, until then: the latest first. */
  previous: { secret: string; until: number }[];
}

export interface Callbacks {
  /** @throws WaferError `invalid_request` for a URL that may not be called */
  assertUrl(url: string): Promise<void>;
  /** Of an invocation that has not ended, or that nothing follows: none. @throws WaferError `invocation_not_found` */
  deliveries(id: string): Promise<Delivery[]>;
  /**
   * Sends what is final once more, and what waits at once, under the same `webhook-id`; also to a receiver that said 410.
   * @throws WaferError `invocation_not_found | delivery_not_found | conflict`
   */
  redeliver(id: string, target: DeliveryTarget): Promise<Delivery>;
  /** Made when they are first asked for. */
  secrets(): Promise<SigningSecrets>;
  rotate(keepMs: number): Promise<SigningSecrets>;
}
