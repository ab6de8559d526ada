/** Shopify: HMAC of the body in base64, no time stamp. */
import { anyFits, hmac, nameBySignature, nameIn, names } from './parts.ts';
import { refuse, type Scheme } from './types.ts';

export const shopify: Scheme = ({ headers, body, secrets }) => {
  const given = headers['x-shopify-hmac-sha256'];
  if (given === undefined || given === '') return refuse('no_signature');
  if (
    !anyFits(
      [given],
      secrets.map((secret) => hmac('sha256', secret, [body], 'base64')),
    )
  )
    return refuse('bad_signature');
  const id = nameIn(headers, 'x-shopify-webhook-id') ?? nameBySignature(given);
  return { ok: true, ...names(id, nameIn(headers, 'x-shopify-topic')) };
};
