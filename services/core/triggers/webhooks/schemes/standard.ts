/** Standard Webhooks (https://www.standardwebhooks.com), which is also Svix with its own header names. */

import { verifyEd25519 } from './ed25519.ts';
import { anyFits, checkTime, hmac, MOST_SIGNATURES, names, textAt } from './parts.ts';
import { type Headers, refuse, type Scheme } from './types.ts';

/** The parts are joined with dots, so none may be in the id. */
const ID = /^[\x21-\x2d\x2f-\x7e]{1,256}$/;
const HMAC_KEY = /^(?:whsec_)?([A-Za-z0-9+/]+={0,2})$/;
export const PUBLIC_KEY_PREFIX = 'whpk_';

/** The key's bytes; null for what is no secret of this scheme. */
export function standardKey(secret: string): Buffer | null {
  const text = HMAC_KEY.exec(secret)?.[1];
  return text === undefined ? null : Buffer.from(text, 'base64');
}

const headersOf = (headers: Headers) => {
  const kind =
    headers['webhook-signature'] === undefined && headers['svix-signature'] !== undefined ? 'svix' : 'webhook';
  return {
    id: headers[`${kind}-id`],
    timestamp: headers[`${kind}-timestamp`],
    signature: headers[`${kind}-signature`],
  };
};

export const standard: Scheme = ({ headers, body, json, secrets, now, toleranceMs }) => {
  const { id, timestamp, signature } = headersOf(headers);
  if (signature === undefined || signature === '') return refuse('no_signature');
  const given = signature.split(' ');
  if (given.length > MOST_SIGNATURES || id === undefined || !ID.test(id)) return refuse('malformed');
  const late = checkTime(timestamp, now, toleranceMs);
  if (late !== null) return refuse(late);
  const head = `${id}.${timestamp}.`;
  const keys = secrets.filter((secret) => !secret.startsWith(PUBLIC_KEY_PREFIX)).map(standardKey);
  const expected = keys.flatMap((key) => (key === null ? [] : [`v1,${hmac('sha256', key, [head, body], 'base64')}`]));
  const publicKeys = secrets.filter((secret) => secret.startsWith(PUBLIC_KEY_PREFIX));
  const message = Buffer.concat([Buffer.from(head), body]);
  const asymmetric = given
    .filter((one) => one.startsWith('v1a,'))
    .map((one) => verifyEd25519(message, one.slice(4), 'base64', publicKeys));
  if (!anyFits(given, expected) && !asymmetric.includes(true)) return refuse('bad_signature');
  return { ok: true, ...names(id, textAt(json(), 'type')) };
};
