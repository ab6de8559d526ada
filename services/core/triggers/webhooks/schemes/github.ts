/** GitHub: HMAC of the body, no time stamp. Only SHA-256: the SHA-1 header is for receivers of before 2021. */
import { anyFits, hmac, nameIn, names, textAt } from './parts.ts';
import { type Headers, refuse, type Scheme } from './types.ts';

export const github: Scheme = ({ headers, body, json, secrets }) => {
  const given = headers['x-hub-signature-256'];
  if (given === undefined || given === '') return refuse('no_signature');
  const expected = secrets.map((secret) => `sha256=${hmac('sha256', secret, [body], 'hex')}`);
  if (!anyFits([given], expected)) return refuse('bad_signature');
  const event = nameIn(headers, 'x-github-event');
  return { ok: true, ...names(nameIn(headers, 'x-github-delivery'), withAction(event, jsonOf(headers, json))) };
};

/** `pull_request.opened`: people filter on both. */
function withAction(event: string | undefined, payload: unknown): string | undefined {
  const action = textAt(payload, 'action');
  return event === undefined || action === undefined ? event : `${event}.${action}`;
}

/** A webhook may also be set to send a form whose field `payload` is the JSON. */
function jsonOf(headers: Headers, json: () => unknown): unknown {
  return headers['content-type']?.startsWith('application/x-www-form-urlencoded') ? undefined : json();
}
