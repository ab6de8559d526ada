/** All schemes by name, and what is needed to set one up. */
import { randomBytes } from 'node:crypto';
import { WaferError } from '../../../errors.ts';
import { bearer } from './bearer.ts';
import { ed25519, readPublicKey } from './ed25519.ts';
import { github } from './github.ts';
import { gitlab } from './gitlab.ts';
import { hmac } from './hmac.ts';
import { none } from './none.ts';
import { shopify } from './shopify.ts';
import { slack } from './slack.ts';
import { PUBLIC_KEY_PREFIX, standard, standardKey } from './standard.ts';
import { stripe } from './stripe.ts';
import type { Scheme, SchemeName } from './types.ts';

export const VERIFIERS: Record<SchemeName, Scheme> = {
  standard,
  github,
  stripe,
  slack,
  shopify,
  gitlab,
  hmac,
  ed25519,
  bearer,
  none,
};

/** Where the secret of a sender that makes its own is found. */
const ISSUED: Partial<Record<SchemeName, string>> = {
  stripe: 'It is the "Signing secret" (whsec_...) of the endpoint in the Stripe dashboard.',
  slack: 'It is the "Signing Secret" of the app, under "Basic Information".',
  shopify: 'It is the client secret of the app, or is shown below the list of webhooks in the shop.',
  ed25519: 'Give the public key of the sender: 64 hex digits, base64 or PEM.',
};

/** @throws WaferError `invalid_request` for a scheme whose secrets come from the sender */
export function makeSecret(scheme: SchemeName): string {
  const hint = ISSUED[scheme];
  if (hint !== undefined) {
    throw new WaferError('invalid_request', `A webhook with the scheme ${scheme} needs the secret of its sender.`, {
      hint,
      details: { path: 'body/secret' },
    });
  }
  return scheme === 'standard' ? `whsec_${randomBytes(32).toString('base64')}` : randomBytes(32).toString('hex');
}

const MIN_LENGTH = 16;
const MAX_LENGTH = 2_000;

/** @throws WaferError `invalid_request`; the message does not have the secret in it */
export function checkSecret(scheme: SchemeName, secret: string): string {
  const wrong = (message: string, hint?: string) =>
    new WaferError('invalid_request', message, { details: { path: 'body/secret' }, ...(hint && { hint }) });
  if (scheme === 'none') throw wrong('The scheme "none" has no secret.');
  if (secret.length > MAX_LENGTH) throw wrong(`A secret has at most ${MAX_LENGTH} characters.`);
  if (scheme === 'ed25519' && readPublicKey(secret) === null)
    throw wrong('This is no Ed25519 public key.', ISSUED.ed25519);
  if (scheme === 'standard' && !isStandardSecret(secret)) {
    throw wrong('This is no secret of Standard Webhooks.', 'It is whsec_ and the base64 of 24 to 64 bytes, or whpk_.');
  }
  if (secret.length < MIN_LENGTH)
    throw wrong(`A secret has at least ${MIN_LENGTH} characters: it must not be guessed.`);
  return secret;
}

function isStandardSecret(secret: string): boolean {
  if (secret.startsWith(PUBLIC_KEY_PREFIX)) return readPublicKey(secret) !== null;
  const bytes = standardKey(secret)?.length ?? 0;
  return bytes >= 24 && bytes <= 64;
}
