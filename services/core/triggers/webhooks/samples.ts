/** Requests as well-known senders make them, signed for one webhook: to try it without its sender. */
import { randomUUID } from 'node:crypto';
import { WaferError } from '../../errors.ts';
import { secretsNow } from './definitions.ts';
import { ED25519_HEADERS } from './schemes/ed25519.ts';
import { HMAC_HEADER } from './schemes/hmac.ts';
import { hmac } from './schemes/parts.ts';
import { standardKey } from './schemes/standard.ts';
import type { SchemeName, SchemeSettings } from './schemes/types.ts';
import { SAMPLE_SENDERS, type SampleSender, type Webhook } from './types.ts';

export interface Sample {
  headers: Record<string, string>;
  body: string;
}

const isSender = (scheme: string): scheme is SampleSender => (SAMPLE_SENDERS as readonly string[]).includes(scheme);

/** @throws WaferError `conflict` where only the sender can sign */
export function makeSample(webhook: Webhook, as: SampleSender | undefined, now: number): Sample {
  const sender = as ?? (isSender(webhook.scheme) ? webhook.scheme : 'standard');
  const sample = CONTENTS[sender](randomUUID(), Math.floor(now / 1000));
  const [secret = ''] = secretsNow(webhook, now);
  const sign = SIGNERS[webhook.scheme];
  return { body: sample.body, headers: { ...sample.headers, ...sign({ webhook, secret, sample, now }) } };
}

const JSON_TYPE = { 'content-type': 'application/json' };

const CONTENTS: Record<SampleSender, (id: string, seconds: number) => Sample> = {
  standard: (id, seconds) => ({
    headers: { ...JSON_TYPE, 'webhook-id': `msg_${id}`, 'webhook-timestamp': String(seconds) },
    body: JSON.stringify({
      type: 'invoice.paid',
      timestamp: new Date(seconds * 1000).toISOString(),
      data: { id: 'inv_1' },
    }),
  }),
  github: (id) => ({
    headers: {
      ...JSON_TYPE,
      'user-agent': 'GitHub-Hookshot/sample',
      'x-github-event': 'pull_request',
      'x-github-delivery': id,
      'x-github-hook-id': '1',
    },
    body: JSON.stringify({
      action: 'opened',
      number: 1,
      pull_request: { number: 1, title: 'A sample', html_url: 'https://github.com/octo/hello/pull/1' },
      repository: { full_name: 'octo/hello' },
      sender: { login: 'octo' },
    }),
  }),
  stripe: (id, seconds) => ({
    headers: { 'content-type': 'application/json; charset=utf-8', 'user-agent': 'Stripe/1.0 (sample)' },
    body: JSON.stringify({
      id: `evt_${id.replaceAll('-', '')}`,
      object: 'event',
      created: seconds,
      type: 'payment_intent.succeeded',
      data: { object: { id: 'pi_1', object: 'payment_intent', amount: 1200, currency: 'eur' } },
    }),
  }),
  slack: (id, seconds) => ({
    headers: { ...JSON_TYPE, 'user-agent': 'Slackbot 1.0 (sample)' },
    body: JSON.stringify({
      type: 'event_callback',
      team_id: 'T1',
      event_id: `Ev${id.replaceAll('-', '').slice(0, 9).toUpperCase()}`,
      event_time: seconds,
      event: { type: 'app_mention', user: 'U1', text: 'hello', channel: 'C1', ts: `${seconds}.000100` },
    }),
  }),
  shopify: (id) => ({
    headers: {
      ...JSON_TYPE,
      'x-shopify-topic': 'orders/create',
      'x-shopify-shop-domain': 'sample.myshopify.com',
      'x-shopify-webhook-id': id,
    },
    body: JSON.stringify({ id: 1, email: 'ada@example.com', total_price: '12.00', currency: 'EUR' }),
  }),
  gitlab: (id) => ({
    headers: { ...JSON_TYPE, 'x-gitlab-event': 'Push Hook', 'x-gitlab-event-uuid': id, 'idempotency-key': id },
    body: JSON.stringify({
      object_kind: 'push',
      ref: 'refs/heads/main',
      project: { path_with_namespace: 'ada/hello' },
    }),
  }),
  cloudevents: (id, seconds) => ({
    headers: { 'content-type': 'application/cloudevents+json' },
    body: JSON.stringify({
      specversion: '1.0',
      id,
      source: 'https://example.com/orders',
      type: 'com.example.order.created',
      time: new Date(seconds * 1000).toISOString(),
      data: { order: 1 },
    }),
  }),
};

interface Signing {
  webhook: Webhook;
  secret: string;
  sample: Sample;
  now: number;
}
type Signer = (signing: Signing) => Record<string, string>;

const seconds = ({ now }: Signing) => String(Math.floor(now / 1000));

const SIGNERS: Record<SchemeName, Signer> = {
  standard(signing) {
    const { secret, sample } = signing;
    const key = standardKey(secret);
    if (key === null) throw onlyItsSender();
    const id = sample.headers['webhook-id'] ?? `msg_${randomUUID()}`;
    const sum = hmac('sha256', key, [`${id}.${seconds(signing)}.`, sample.body], 'base64');
    return { 'webhook-id': id, 'webhook-timestamp': seconds(signing), 'webhook-signature': `v1,${sum}` };
  },
  github: ({ secret, sample }) => ({
    'x-hub-signature-256': `sha256=${hmac('sha256', secret, [sample.body], 'hex')}`,
  }),
  stripe(signing) {
    const sum = hmac('sha256', signing.secret, [`${seconds(signing)}.`, signing.sample.body], 'hex');
    return { 'stripe-signature': `t=${seconds(signing)},v1=${sum}` };
  },
  slack(signing) {
    const sum = hmac('sha256', signing.secret, [`v0:${seconds(signing)}:`, signing.sample.body], 'hex');
    return { 'x-slack-request-timestamp': seconds(signing), 'x-slack-signature': `v0=${sum}` };
  },
  shopify: ({ secret, sample }) => ({ 'x-shopify-hmac-sha256': hmac('sha256', secret, [sample.body], 'base64') }),
  gitlab: ({ secret }) => ({ 'x-gitlab-token': secret }),
  hmac: signHmac,
  ed25519() {
    throw onlyItsSender();
  },
  bearer({ secret, webhook: { settings } }) {
    const { header = 'authorization' } = settings;
    const { prefix = header === 'authorization' ? 'Bearer ' : '' } = settings;
    return { [header]: prefix + secret, ...idHeader(settings) };
  },
  none: ({ webhook: { settings } }) => idHeader(settings),
};

const idHeader = ({ idHeader: name }: SchemeSettings): Record<string, string> =>
  name === undefined ? {} : { [name]: randomUUID() };

function signHmac(signing: Signing): Record<string, string> {
  const { settings } = signing.webhook;
  const { header = HMAC_HEADER, algorithm = 'sha256', encoding = 'hex', prefix = '', timestampHeader } = settings;
  const { signed = timestampHeader === undefined ? '{body}' : '{timestamp}.{body}' } = settings;
  const ids = idHeader(settings);
  // A function as the replacement: `$` in a body means nothing.
  const text = signed
    .replace('{timestamp}', () => seconds(signing))
    .replace('{id}', () => Object.values(ids)[0] ?? '')
    .replace('{body}', () => signing.sample.body);
  return {
    ...ids,
    ...(timestampHeader !== undefined && { [timestampHeader]: seconds(signing) }),
    [header]: prefix + hmac(algorithm, signing.secret, [text], encoding),
  };
}

const onlyItsSender = () =>
  new WaferError('conflict', 'Only the sender has the private key, so no sample can be signed.', {
    hint: `Let the sender deliver one (${ED25519_HEADERS.header}), or try the function with another webhook.`,
  });
