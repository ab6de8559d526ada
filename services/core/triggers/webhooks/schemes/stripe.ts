/** Stripe: `t=SECONDS,v1=HEX[,v1=HEX]`, over `t.body`, with the whole `whsec_...` text as key. */
import { anyFits, checkTime, hmac, MOST_SIGNATURES, nameBySignature, names, textAt } from './parts.ts';
import { refuse, type Scheme } from './types.ts';

export const stripe: Scheme = ({ headers, body, json, secrets, now, toleranceMs }) => {
  const signature = headers['stripe-signature'];
  if (signature === undefined || signature === '') return refuse('no_signature');
  const pairs = signature.split(',').map((part) => part.trim());
  const of = (name: string) =>
    pairs.filter((pair) => pair.startsWith(`${name}=`)).map((pair) => pair.slice(name.length + 1));
  const [timestamp, ...others] = of('t');
  // v0 is for Stripe's test events only, and must not count.
  const given = of('v1');
  if (pairs.length > MOST_SIGNATURES + 2 || given.length > MOST_SIGNATURES || others.length > 0)
    return refuse('malformed');
  if (given.length === 0) return refuse('no_signature');
  const late = checkTime(timestamp, now, toleranceMs);
  if (late !== null) return refuse(late);
  const expected = secrets.map((secret) => hmac('sha256', secret, [`${timestamp}.`, body], 'hex'));
  if (!anyFits(given, expected)) return refuse('bad_signature');
  const event = json();
  return { ok: true, ...names(textAt(event, 'id') ?? nameBySignature(timestamp, given[0]), textAt(event, 'type')) };
};
