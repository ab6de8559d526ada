/**
 * A webhook gives a sender a URL, `/hooks/ID`; what comes there is proved by the scheme of the webhook,
 * written to the inbox as a delivery, answered, and becomes an invocation: `DurableCalls.accept`.
 */
import type { StoredBody } from '../../invocations/durable/types.ts';
import type { Headers, Refusal, SchemeName, SchemeSettings } from './schemes/types.ts';

export interface WebhookSecret {
  /** Empty where it is locked. */
  value: string;
  /** As it is stored, when the key of this platform does not open it. */
  locked?: string;
  addedAt: number;
  /** Epoch ms; of one that was replaced. */
  expiresAt?: number;
}

export interface Webhook {
  id: string;
  name: string;
  functionName: string;
  alias: string;
  scheme: SchemeName;
  settings: SchemeSettings;
  /** The newest first. */
  secrets: WebhookSecret[];
  /** Types that become invocations; `a` is also `a.b`, and `*` at the end is anything. Empty: all. */
  events: string[];
  toleranceMs: number;
  /** Takes nothing, and says so to its sender. What is redelivered runs all the same. */
  disabled: boolean;
  createdAt: number;
}

/** As it is shown: a secret goes in and never comes out, but the one that Wafer made, once. */
export type WebhookView = Omit<Webhook, 'secrets'> & {
  secrets: { fingerprint: string; addedAt: number; expiresAt?: number }[];
};

export interface NewWebhook {
  name: string;
  functionName: string;
  alias?: string;
  scheme: SchemeName;
  settings?: SchemeSettings;
  /** Absent: one is made, where the scheme allows it. */
  secret?: string;
  events?: string[];
  toleranceMs?: number;
  disabled?: boolean;
}

export type WebhookChanges = Partial<
  Pick<Webhook, 'functionName' | 'alias' | 'scheme' | 'settings' | 'events' | 'toleranceMs' | 'disabled'>
>;

/** `invalid_body`: proved, but not what it says it is; `disabled`: proved, but its webhook was. */
export const VERDICTS = [
  'accepted',
  'filtered',
  'duplicate',
  'handshake',
  'invalid_body',
  'disabled',
  'no_signature',
  'bad_signature',
  'bad_timestamp',
  'stale',
  'future',
  'malformed',
] as const satisfies readonly (Refusal | string)[];
export type Verdict = (typeof VERDICTS)[number];

export interface Delivery {
  id: string;
  webhookId: string;
  /** Name of the webhook when it came. */
  webhook: string;
  receivedAt: number;
  verdict: Verdict;
  /** Of a duplicate: the delivery that came first. */
  first?: string;
  /** Of the sender. */
  deliveryId?: string;
  eventType?: string;
  /** What is secret in them is left out. */
  headers: Record<string, string>;
  /** Absent where none was kept: of duplicates, and of refused ones that were large. */
  body?: StoredBody;
  bodyBytes: number;
  functionName: string;
  alias: string;
  /** In their order; more than one when it was redelivered. */
  invocations: { id: string; at: number }[];
  /** Invocations that are still to come. */
  pending: number;
  /** Why it has not become an invocation yet, or will not. */
  error?: string;
}

export interface IncomingRequest {
  /** Lower case names. */
  headers: Headers;
  body: Buffer;
}

/** What the sender is told. Durable when it resolves with `accepted`. */
export type Received =
  | { verdict: 'accepted' | 'filtered'; delivery: string }
  /** `delivery` is the one that came first. */
  | { verdict: 'duplicate'; delivery: string }
  | { verdict: 'handshake'; contentType: string; body: string }
  | { verdict: Refusal | 'disabled' }
  | { verdict: 'invalid_body'; error: unknown }
  /** So many were refused lately that no more of them are looked at closely. */
  | { verdict: 'too_many_refused'; retryAfterMs: number };

export interface DeliveryPage {
  /** Newest first. */
  deliveries: Delivery[];
  cursor: string | null;
}

export interface DeliveryQuery {
  /** 1 to 1000. */
  limit: number;
  cursor?: string;
  verdict?: Verdict;
}

/** Every method that takes `ref` takes a name or an id. @throws WaferError `webhook_not_found | store_unavailable` */
export interface Webhooks {
  /** @throws WaferError `invalid_name | invalid_request | conflict | function_not_found | alias_not_found` */
  create(input: NewWebhook): Promise<{ webhook: WebhookView; madeSecret: string | null }>;
  list(): Promise<WebhookView[]>;
  get(ref: string): Promise<WebhookView>;
  /** A changed scheme needs a new secret. @throws as `create` */
  update(
    ref: string,
    changes: WebhookChanges & { secret?: string },
  ): Promise<{ webhook: WebhookView; madeSecret: string | null }>;
  /** The new secret counts at once, the others for `keepMs` more. */
  rotate(
    ref: string,
    options: { secret?: string; keepMs: number },
  ): Promise<{ webhook: WebhookView; madeSecret: string | null }>;
  /** With its deliveries. Invocations stay. */
  remove(ref: string): Promise<void>;
  /** By id only, as in its URL. */
  find(id: string): Promise<Webhook>;
  /** @throws WaferError `overloaded | store_unavailable | payload_too_large`: then nothing was kept */
  receive(webhook: Webhook, request: IncomingRequest): Promise<Received>;
  deliveries(ref: string, query: DeliveryQuery): Promise<DeliveryPage>;
  /** @throws WaferError `delivery_not_found` */
  delivery(ref: string, id: string): Promise<{ delivery: Delivery; body: Buffer | null }>;
  /** @throws WaferError `delivery_not_found`, `conflict` for one that was refused */
  redeliver(ref: string, id: string): Promise<Delivery>;
  /** Those that were taken, oldest first, received from `since` to before `until`. @returns how many, at most 1,000 */
  redeliverRange(
    ref: string,
    range: { since: number; until: number },
  ): Promise<{ redelivered: number; isCut: boolean }>;
  /** A request as `as` would send it, with the signature of this webhook. @throws WaferError `conflict` where only the sender can sign */
  sample(ref: string, as?: SampleSender): Promise<{ headers: Record<string, string>; body: string }>;
  close(): Promise<void>;
}

export const SAMPLE_SENDERS = ['standard', 'github', 'stripe', 'slack', 'shopify', 'gitlab', 'cloudevents'] as const;
export type SampleSender = (typeof SAMPLE_SENDERS)[number];
