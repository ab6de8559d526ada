/** Standard Webhooks, as the sender: https://www.standardwebhooks.com */
import { createHmac, randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';
import type { TextBox } from '../../secrets/text-box.ts';
import { withStore } from '../../store/errors.ts';
import { keysOf } from '../../store/keys.ts';
import { rotateSecretScript } from '../../store/scripts/callbacks.ts';
import { runScript } from '../../store/scripts/script.ts';
import type { SigningSecrets } from './types.ts';

const PREFIX = 'whsec_';
const SECRET_BYTES = 32;

export interface SecretsDeps {
  redis: Redis;
  /** What they are sealed with. */
  box: TextBox;
  namespace?: string;
  now?: () => number;
}

const PLACE = 'callbacks';
/** Those from before there was encryption are as they are until they are rotated. */
const open = (box: TextBox, text: string) => (text.startsWith(PREFIX) ? text : box.open(PLACE, text));

const newSecret = () => PREFIX + randomBytes(SECRET_BYTES).toString('base64');

/** Of the namespace; the first who asks makes one. */
export async function readSecrets(deps: SecretsDeps): Promise<SigningSecrets> {
  const found = await readHash(deps);
  if (found !== undefined) return found;
  await change(deps, 0, true);
  const made = await readHash(deps);
  if (made === undefined) throw new Error('the secret of callbacks is gone while it is made');
  return made;
}

/** Those before sign for `keepMs` more at most, beside the new one. */
export async function rotateSecrets(deps: SecretsDeps, keepMs: number): Promise<SigningSecrets> {
  await change(deps, keepMs, false);
  return readSecrets(deps);
}

async function change({ redis, box, namespace, now = Date.now }: SecretsDeps, keepMs: number, onlyFirst: boolean) {
  const args = [box.seal(PLACE, newSecret()), now(), now() + keepMs, onlyFirst ? '1' : ''];
  await withStore('write the secret of callbacks', () =>
    runScript(redis, rotateSecretScript, [keysOf(namespace).callbackSecrets], args),
  );
}

async function readHash({ redis, box, namespace, now = Date.now }: SecretsDeps): Promise<SigningSecrets | undefined> {
  const hash = await withStore('read the secret of callbacks', () => redis.hgetall(keysOf(namespace).callbackSecrets));
  const entries = Object.entries(hash).map(([one, until]) => [open(box, one), until] as const);
  const secret = entries.find(([, until]) => until === '')?.[0];
  if (secret === undefined) return undefined;
  const previous = entries
    .flatMap(([one, until]) => (until === '' || Number(until) <= now() ? [] : [{ secret: one, until: Number(until) }]))
    .sort((a, b) => b.until - a.until);
  return { secret, previous };
}

/** The three headers of one attempt, a signature for each secret; `at` is epoch ms. */
export function signatureHeaders(
  { secret, previous }: SigningSecrets,
  { id, at, body }: { id: string; at: number; body: Buffer },
) {
  const seconds = Math.floor(at / 1000);
  const sign = (one: string) =>
    `v1,${createHmac('sha256', Buffer.from(one.slice(PREFIX.length), 'base64'))
      .update(`${id}.${seconds}.`)
      .update(body)
      .digest('base64')}`;
  const signatures = [secret, ...previous.map((one) => one.secret)].map(sign);
  return { 'webhook-id': id, 'webhook-timestamp': String(seconds), 'webhook-signature': signatures.join(' ') };
}
