/** HMAC as its settings say: for senders that have no scheme of their own here. */
import { anyFits, nameBySignature, nameIn, names, hmac as sum, textAt } from './parts.ts';
import { signedText } from './signed-text.ts';
import { refuse, type Scheme } from './types.ts';

export const HMAC_HEADER = 'x-signature';

export const hmac: Scheme = (request) => {
  const { headers, json, secrets, settings } = request;
  const { header = HMAC_HEADER, algorithm = 'sha256', encoding = 'hex', prefix = '', typeHeader } = settings;
  const given = headers[header];
  if (given === undefined || given === '') return refuse('no_signature');
  const text = signedText(request, settings.timestampHeader === undefined ? '{body}' : '{timestamp}.{body}');
  if (typeof text === 'string') return refuse(text);
  const expected = secrets.map((secret) => prefix + sum(algorithm, secret, [text.bytes], encoding));
  if (!anyFits([given], expected)) return refuse('bad_signature');
  const type = nameIn(headers, typeHeader) ?? textAt(json(), 'type');
  return { ok: true, ...names(text.id ?? nameBySignature(text.timestamp, given), type) };
};
