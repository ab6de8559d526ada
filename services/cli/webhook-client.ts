/** The part of the API about webhooks. */
import type { NewWebhook, SampleSender, Verdict, WebhookChanges } from '../core/triggers/webhooks/types.ts';
import type { DeliveryDetail, DeliveryView, WebhookShown } from '../core/triggers/webhooks/view.ts';
import { connect, jsonCaller, query } from './client.ts';

/** `secret`: of one that the platform made; it is not shown again. */
export interface WebhookSetUp {
  webhook: WebhookShown;
  secret?: string;
}

export interface WebhookTest {
  /** Of HTTP. */
  status: number;
  answer: { verdict?: string; delivery?: string; code?: string; detail?: string };
}

export interface WebhookClient {
  /** Of the platform, before the path of a webhook. */
  readonly origin: string;
  create(webhook: NewWebhook): Promise<WebhookSetUp>;
  list(): Promise<WebhookShown[]>;
  get(name: string): Promise<WebhookShown>;
  change(name: string, changes: WebhookChanges): Promise<WebhookSetUp>;
  rotate(name: string, options: { secret?: string; keepMs?: number }): Promise<WebhookSetUp>;
  remove(name: string): Promise<void>;
  /** Newest first, at most `most`. */
  deliveries(name: string, options: { most: number; verdict: Verdict | undefined }): Promise<DeliveryView[]>;
  delivery(name: string, id: string): Promise<DeliveryDetail>;
  redeliver(name: string, id: string): Promise<DeliveryView>;
  redeliverRange(
    name: string,
    range: { since: number; until?: number },
  ): Promise<{ redelivered: number; isCut: boolean }>;
  test(name: string, as: SampleSender | undefined): Promise<WebhookTest>;
}

const MOST_OF_A_PAGE = 999;

export function createWebhookClient(env: Record<string, string | undefined>): WebhookClient {
  const connection = connect(env);
  const json = jsonCaller(connection);
  const at = (name: string) => `/v1/webhooks/${encodeURIComponent(name)}`;
  return {
    origin: connection.origin,
    create: (webhook) => json('POST', '/v1/webhooks', webhook),
    list: async () => (await json<{ webhooks: WebhookShown[] }>('GET', '/v1/webhooks')).webhooks,
    get: (name) => json('GET', at(name)),
    change: (name, changes) => json('PATCH', at(name), changes),
    rotate: (name, options) => json('POST', `${at(name)}/rotate`, options),
    remove: async (name) => void (await json('DELETE', at(name))),
    async deliveries(name, { most, verdict }) {
      const found: DeliveryView[] = [];
      let cursor: string | null | undefined;
      do {
        const limit = Math.min(MOST_OF_A_PAGE, most - found.length);
        const path = `${at(name)}/deliveries${query({ limit, verdict, cursor })}`;
        const page = await json<{ deliveries: DeliveryView[]; cursor: string | null }>('GET', path);
        found.push(...page.deliveries);
        cursor = page.cursor;
      } while (cursor !== null && found.length < most);
      return found;
    },
    delivery: (name, id) => json('GET', `${at(name)}/deliveries/${encodeURIComponent(id)}`),
    redeliver: (name, id) => json('POST', `${at(name)}/deliveries/${encodeURIComponent(id)}/redeliver`),
    redeliverRange: (name, range) => json('POST', `${at(name)}/redeliver`, range),
    test: (name, as) => json('POST', `${at(name)}/test`, as === undefined ? {} : { as }),
  };
}
