/** From a request to a delivery that is on disk. */
import { createHash } from 'node:crypto';
import type { Redis } from 'ioredis';
import { WaferError } from '../../errors.ts';
import { newDeliveryId } from '../../ids.ts';
import type { Bodies } from '../../invocations/durable/bodies.ts';
import type { StoredBody } from '../../invocations/durable/types.ts';
import type { Log } from '../../log.ts';
import { withStore } from '../../store/errors.ts';
import type { Headroom } from '../../store/headroom.ts';
import { keysOf } from '../../store/keys.ts';
import { runScript } from '../../store/scripts/script.ts';
import { receiveScript } from '../../store/scripts/webhooks.ts';
import { type Content, fitsFilter, parseText, readContent } from './content.ts';
import { secretsNow } from './definitions.ts';
import { toEvent } from './event.ts';
import { HANDED_AT_ONCE_MS, type HandOver } from './hand-over.ts';
import { keptHeaders } from './kept-headers.ts';
import { type NewDelivery, toFields } from './record.ts';
import { createRefusals } from './refusals.ts';
import { VERIFIERS } from './schemes/index.ts';
import { names } from './schemes/parts.ts';
import type { Verified } from './schemes/types.ts';
import type { IncomingRequest, Received, Verdict, Webhook } from './types.ts';

export interface InboxDeps {
  redis: Redis;
  bodies: Bodies;
  handOver: HandOver;
  log: Log;
  /** Bytes of what the function gets. */
  maxEventBytes: number;
  /** Asked before anything is written. */
  headroom?: Pick<Headroom, 'assert'>;
  namespace?: string;
  now?: () => number;
}

/** Manual redeliveries of senders come days later. */
const ONCE_SECONDS = 7 * 86_400;
/** Deliveries that have not become invocations, of all webhooks. */
const MOST_DUE = 10_000;
const FULL_RETRY_MS = 5_000;
const KEEP = { taken: 1_000, other: 200 };
/** Of what was refused; more of a body is not kept. */
const REFUSED_BODY_BYTES = 16 * 1024;

export function createInbox(deps: InboxDeps) {
  const { bodies, handOver, log, maxEventBytes, now = Date.now } = deps;
  const refusals = createRefusals(now);
  const { write, forget } = writer(deps);

  /** Nobody waits for it, and nothing depends on it. */
  const noteOther = (webhook: Webhook, request: IncomingRequest, verdict: Verdict, more: Partial<NewDelivery> = {}) => {
    const delivery = { ...describe(webhook, request, now()), verdict, ...more };
    const withBody = verdict !== 'duplicate' && request.body.length <= REFUSED_BODY_BYTES;
    void (withBody ? bodies.put(delivery.id, 'body', request.body, typeOf(request)) : Promise.resolve(undefined))
      .then((body) => write(delivery, { body, once: '', isDue: false, kind: 'other' }))
      .catch((err: unknown) => log.debug({ err, webhook: webhook.id }, 'a refused delivery was not written down'));
  };

  const refused = (webhook: Webhook, request: IncomingRequest, received: Received & { verdict: Verdict }): Received => {
    const count = refusals.count(webhook.id);
    if (count === 'drop') return { verdict: 'too_many_refused', retryAfterMs: refusals.retryAfterMs() };
    if (count === 'keep') noteOther(webhook, request, received.verdict);
    return received;
  };

  return async (webhook: Webhook, request: IncomingRequest): Promise<Received> => {
    const proved = prove(webhook, request, now());
    if (!proved.ok) return refused(webhook, request, { verdict: proved.verdict });
    if (webhook.disabled) return refused(webhook, request, { verdict: 'disabled' });
    if (proved.handshake !== undefined) {
      noteOther(webhook, request, 'handshake', names(undefined, proved.eventType));
      return { verdict: 'handshake', ...proved.handshake };
    }
    let content: Content;
    try {
      content = readContent(request);
    } catch (error) {
      return refused(webhook, request, { verdict: 'invalid_body', error });
    }
    const types = proved.eventType === undefined ? content.types : [proved.eventType, ...content.types];
    const once = proved.deliveryId ?? content.name;
    const verdict = fitsFilter(webhook.events, types) ? 'accepted' : 'filtered';
    const delivery = { ...describe(webhook, request, now()), verdict, ...names(once, types[0]) } as const;
    checkSize(toEvent(delivery, request.body, content), maxEventBytes);
    deps.headroom?.assert();
    const body = await bodies.put(delivery.id, 'body', request.body, typeOf(request));
    const first = await write(delivery, { body, once: once ?? '', isDue: verdict === 'accepted', kind: 'taken' });
    if (first !== null) {
      forget([delivery.id]);
      if (refusals.count(`${webhook.id}/again`) === 'keep')
        noteOther(webhook, request, 'duplicate', { ...names(once, types[0]), first });
      return { verdict: 'duplicate', delivery: first };
    }
    if (verdict === 'accepted') handOver.soon(delivery.id);
    return { verdict, delivery: delivery.id };
  };
}

function prove(webhook: Webhook, { headers, body }: IncomingRequest, now: number): Verified {
  const { scheme, settings, toleranceMs } = webhook;
  let parsed: { value: unknown } | undefined;
  const json = () => {
    parsed ??= { value: parseText(body.toString('utf8')) };
    return parsed.value;
  };
  return VERIFIERS[scheme]({ headers, body, json, secrets: secretsNow(webhook, now), now, toleranceMs, settings });
}

function describe(webhook: Webhook, { headers, body }: IncomingRequest, at: number): Omit<NewDelivery, 'verdict'> {
  const { id: webhookId, name, functionName, alias } = webhook;
  const kept = keptHeaders(headers, webhook);
  const target = { functionName, alias };
  const sent = { headers: kept, bodyBytes: body.length };
  return { id: newDeliveryId(at), webhookId, webhook: name, receivedAt: at, ...sent, ...target };
}

const typeOf = ({ headers }: IncomingRequest) => headers['content-type'] ?? 'application/octet-stream';

function checkSize(event: Buffer, most: number): void {
  if (event.length <= most) return;
  throw new WaferError('payload_too_large', `The event would have ${event.length} bytes; a function takes ${most}.`, {
    hint: 'It has the body twice: as it came, and parsed.',
  });
}

interface Writing {
  body: StoredBody | undefined;
  /** Name of the delivery, or ''. */
  once: string;
  isDue: boolean;
  kind: keyof typeof KEEP;
}

function writer({ redis, bodies, log, namespace }: InboxDeps) {
  const keys = keysOf(namespace);
  /** Files that nothing names any more. No sender waits for it, and what is accepted stays so when it fails. */
  const forget = (ids: string[]): void =>
    void bodies.forget(ids).catch((err: unknown) => log.warn({ err }, 'files of deliveries could not be removed'));
  /** @returns of a replay: the delivery that came first; else null, and it is on disk */
  const write = async (delivery: NewDelivery, { body, once, isDue, kind }: Writing): Promise<string | null> => {
    const { id, webhookId, receivedAt } = delivery;
    const digest = createHash('sha256').update(`${webhookId}\n${once}`).digest('base64url');
    const list = keys.deliveriesOf(webhookId, kind);
    const touched = [keys.webhook(webhookId), list, keys.deliveriesDue, keys.deliveryOnce(digest)];
    const fields = toFields({ ...delivery, ...(body !== undefined && { body }) }, isDue ? 1 : 0);
    const due = isDue ? receivedAt + HANDED_AT_ONCE_MS : '';
    const args = [keys.deliveryPrefix, id, once === '' ? 0 : ONCE_SECONDS, due, MOST_DUE, KEEP[kind], ...fields];
    const run = () => runScript(redis, receiveScript, touched, args);
    // When Redis does not answer it may be written all the same, so its file stays.
    const [status, ...rest] = (await withStore('keep a delivery', run)) as string[];
    if (status === 'ok') {
      forget(rest);
      return null;
    }
    if (status === 'duplicate') return rest[0] ?? id;
    forget([id]);
    if (status === 'gone') throw new WaferError('webhook_not_found', 'There is no webhook at this URL.');
    throw new WaferError('overloaded', `${rest[0]} deliveries have not become invocations; ${MOST_DUE} may wait.`, {
      details: { retryAfterMs: FULL_RETRY_MS },
    });
  };
  return { write, forget };
}
