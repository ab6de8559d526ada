/** Slack: HMAC over `v0:SECONDS:body`. An app's URL is taken only when it answers a challenge. */
import { anyFits, checkTime, hmac, nameBySignature, names, textAt } from './parts.ts';
import { refuse, type Scheme } from './types.ts';

export const slack: Scheme = ({ headers, body, json, secrets, now, toleranceMs }) => {
  const signature = headers['x-slack-signature'];
  if (signature === undefined || signature === '') return refuse('no_signature');
  const timestamp = headers['x-slack-request-timestamp'];
  const late = checkTime(timestamp, now, toleranceMs);
  if (late !== null) return refuse(late);
  const expected = secrets.map((secret) => `v0=${hmac('sha256', secret, [`v0:${timestamp}:`, body], 'hex')}`);
  if (!anyFits([signature], expected)) return refuse('bad_signature');
  // Slash commands and buttons are forms; they have neither of these.
  const event = json();
  const challenge = textAt(event, 'challenge');
  if (textAt(event, 'type') === 'url_verification' && challenge !== undefined) {
    const answer = { contentType: 'application/json', body: JSON.stringify({ challenge }) };
    return { ok: true, eventType: 'url_verification', handshake: answer };
  }
  const id = textAt(event, 'event_id') ?? nameBySignature(timestamp, signature);
  return { ok: true, ...names(id, typeOf(event)) };
};

/** `event_callback` only wraps what happened. */
function typeOf(event: unknown): string | undefined {
  const inner = typeof event === 'object' && event !== null ? (event as Record<string, unknown>)['event'] : undefined;
  return textAt(inner, 'type') ?? textAt(event, 'type');
}
