/** Definitions as they lie in Redis: like the ones in memory, but for secrets, which are sealed. */
import { WaferError } from '../../errors.ts';
import type { TextBox } from '../../secrets/text-box.ts';
import type { Webhook, WebhookSecret } from './types.ts';

/** `value`: of definitions from before there was encryption; the next change seals it. */
type StoredSecret = Omit<WebhookSecret, 'value' | 'locked'> & { sealed?: string; value?: string };
type StoredWebhook = Omit<Webhook, 'secrets'> & { secrets: StoredSecret[] };

const placeOf = (id: string) => `webhook/${id}`;

export function toJson(webhook: Webhook, box: TextBox): string {
  const secrets = webhook.secrets.map(({ value, locked, ...times }) => ({
    ...times,
    sealed: locked ?? box.seal(placeOf(webhook.id), value),
  }));
  return JSON.stringify({ ...webhook, secrets });
}

/** What can not be opened is marked, so that the webhook can still be seen, given another secret, and removed. */
export function fromJson(json: string, box: TextBox): Webhook {
  const webhook = JSON.parse(json) as StoredWebhook;
  return { ...webhook, secrets: webhook.secrets.map((one) => open(webhook.id, one, box)) };
}

function open(id: string, { sealed, value = '', ...times }: StoredSecret, box: TextBox): WebhookSecret {
  if (sealed === undefined) return { ...times, value };
  try {
    return { ...times, value: box.open(placeOf(id), sealed) };
  } catch (error) {
    if (error instanceof WaferError && error.code === 'secrets_locked') return { ...times, value: '', locked: sealed };
    throw error;
  }
}
