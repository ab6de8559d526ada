/** Webhooks as they are set up: what may be set, and their secrets. */
import { createHash } from 'node:crypto';
import { WaferError } from '../../errors.ts';
import { checkFunctionName, LIVE_ALIAS } from '../../functions/names.ts';
import type { FunctionStore } from '../../functions/types.ts';
import { newWebhookId } from '../../ids.ts';
import { type DefinitionStore, MOST_WEBHOOKS } from './definition-store.ts';
import { checkSecret, makeSecret } from './schemes/index.ts';
import { checkSettings } from './schemes/settings.ts';
import type { SchemeName } from './schemes/types.ts';
import type { NewWebhook, Webhook, WebhookChanges, WebhookView } from './types.ts';

export interface DefinitionDeps {
  functions: Pick<FunctionStore, 'resolve'>;
  now?: () => number;
}

const MOST_SECRETS = 5;
const DEFAULT_TOLERANCE_MS = 300_000;
const EVENT_PATTERN = /^[\x21-\x29\x2b-\x7e]{1,128}\*?$|^\*$/;
const MOST_EVENTS = 100;

/** `madeSecret`: of one that was not given. */
export type SetUp = Promise<{ webhook: Webhook; madeSecret: string | null }>;

export function createDefinitions(store: DefinitionStore, { functions, now = Date.now }: DefinitionDeps) {
  const checkFunction = async (functionName: string, alias: string) =>
    void (await functions.resolve(checkFunctionName(functionName), { alias }));
  return {
    async create(input: NewWebhook): SetUp {
      const { name, functionName, alias = LIVE_ALIAS, scheme, secret } = input;
      const { toleranceMs = DEFAULT_TOLERANCE_MS, disabled = false } = input;
      checkWebhookName(name);
      const settings = checkSettings(scheme, input.settings ?? {});
      const events = checkEvents(input.events ?? []);
      const { secrets, madeSecret } = firstSecret(scheme, secret, now());
      await checkFunction(functionName, alias);
      const about = { id: newWebhookId(), name, functionName, alias, scheme, settings, secrets, events };
      const webhook: Webhook = { ...about, toleranceMs, disabled, createdAt: now() };
      const answer = await store.add(webhook);
      if (answer !== 'ok') throw notAdded(answer, name);
      return { webhook, madeSecret };
    },
    async update(ref: string, { secret, ...fields }: WebhookChanges & { secret?: string }): SetUp {
      let made: string | null = null;
      const { functionName, alias } = { ...(await store.get(ref)), ...fields };
      if (fields.functionName !== undefined || fields.alias !== undefined) await checkFunction(functionName, alias);
      const webhook = await store.change(ref, (before) => {
        const scheme = fields.scheme ?? before.scheme;
        const keepsSettings = scheme === before.scheme ? before.settings : {};
        const next = { ...before, ...fields, settings: checkSettings(scheme, fields.settings ?? keepsSettings) };
        checkEvents(next.events);
        // A secret of one scheme says nothing in another.
        if (scheme === before.scheme && secret === undefined) return next;
        const { secrets, madeSecret } = firstSecret(scheme, secret, now());
        made = madeSecret;
        return { ...next, secrets };
      });
      return { webhook, madeSecret: made };
    },
    /** The new secret counts at once, the others for `keepMs` more. */
    async rotate(ref: string, { secret, keepMs }: { secret?: string; keepMs: number }): SetUp {
      const { scheme } = await store.get(ref);
      if (scheme === 'none') throw new WaferError('conflict', 'The scheme "none" has no secret to replace.');
      const value = secret === undefined ? makeSecret(scheme) : checkSecret(scheme, secret);
      const webhook = await store.change(ref, (before) => {
        if (before.scheme === scheme) return { ...before, secrets: rotated(before, value, now(), keepMs) };
        throw new WaferError('conflict', `The scheme of ${before.name} was changed at the same time.`);
      });
      return { webhook, madeSecret: secret === undefined ? value : null };
    },
  };
}

function notAdded(answer: string, name: string): WaferError {
  if (answer === 'full') return new WaferError('conflict', `There are ${MOST_WEBHOOKS} webhooks; more are not kept.`);
  return new WaferError('conflict', `There is a webhook "${name}" already.`, {
    hint: `Change it with PATCH /v1/webhooks/${name}, or remove it first.`,
  });
}

function firstSecret(scheme: SchemeName, secret: string | undefined, at: number) {
  if (scheme === 'none' && secret === undefined) return { secrets: [], madeSecret: null };
  const value = secret === undefined ? makeSecret(scheme) : checkSecret(scheme, secret);
  return { secrets: [{ value, addedAt: at }], madeSecret: secret === undefined ? value : null };
}

function rotated({ secrets }: Webhook, value: string, at: number, keepMs: number): Webhook['secrets'] {
  const old = secrets
    .filter((one) => one.value !== value && (one.expiresAt ?? Infinity) > at && keepMs > 0)
    .map((one) => ({ ...one, expiresAt: Math.min(one.expiresAt ?? Infinity, at + keepMs) }));
  return [{ value, addedAt: at }, ...old].slice(0, MOST_SECRETS);
}

/** @throws WaferError `secrets_locked` when there are some and none can be read */
export function secretsNow({ name, secrets }: Webhook, now: number): string[] {
  const valid = secrets.filter(({ expiresAt = Infinity }) => expiresAt > now);
  const open = valid.filter(({ locked }) => locked === undefined);
  if (open.length > 0 || valid.length === 0) return open.map(({ value }) => value);
  throw new WaferError('secrets_locked', `The secret of the webhook ${name} was encrypted with another key.`, {
    hint: `Start with the secrets.key or WAFER_SECRETS_KEY of then, or give it another: wafer webhook rotate ${name}`,
  });
}

export const toView = (webhook: Webhook): WebhookView => ({
  ...webhook,
  secrets: webhook.secrets.map(({ value, locked, ...times }) => ({
    fingerprint: locked === undefined ? fingerprint(value) : LOCKED,
    ...times,
  })),
});

const LOCKED = 'locked';
/** Tells secrets apart without saying anything of them. */
const fingerprint = (secret: string) => createHash('sha256').update(secret).digest('hex').slice(0, 12);

function checkWebhookName(name: string): void {
  try {
    checkFunctionName(name);
  } catch (cause) {
    if (!(cause instanceof WaferError)) throw cause;
    const message = cause.message.replace('function name', 'name of a webhook');
    throw new WaferError('invalid_name', message, { cause, ...(cause.hint !== undefined && { hint: cause.hint }) });
  }
}

function checkEvents(events: readonly string[]): string[] {
  const wrong = events.find((event) => !EVENT_PATTERN.test(event));
  if (wrong === undefined && events.length <= MOST_EVENTS) return [...events];
  const why =
    wrong === undefined ? `there are more than ${MOST_EVENTS}` : `${JSON.stringify(wrong.slice(0, 80))} is none`;
  throw new WaferError('invalid_request', `events: ${why}.`, {
    hint: 'A filter is the type of an event, or its beginning and *: pull_request, invoice.*',
    details: { path: 'body/events' },
  });
}
