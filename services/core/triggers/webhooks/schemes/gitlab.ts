/** GitLab's secret token: the secret itself in a header. Its newer signing tokens are the scheme `standard`. */
import { anyFits, nameBySignature, nameIn, names } from './parts.ts';
import { type Headers, refuse, type Scheme } from './types.ts';

export const gitlab: Scheme = ({ headers, body, json, secrets }) => {
  const given = headers['x-gitlab-token'];
  if (given === undefined || given === '') return refuse('no_signature');
  if (!anyFits([given], secrets)) return refuse('bad_signature');
  return { ok: true, ...names(idOf(headers, body), typeOf(json()) ?? nameIn(headers, 'x-gitlab-event')) };
};

/** Webhooks that a webhook set off share the UUID of the first, so it alone does not tell two of them apart. */
function idOf(headers: Headers, body: Buffer): string | undefined {
  const key = nameIn(headers, 'idempotency-key');
  if (key !== undefined) return key;
  const uuid = nameIn(headers, 'x-gitlab-event-uuid');
  return uuid === undefined ? undefined : nameBySignature(uuid, body.toString('latin1'));
}

/** `merge_request`, `push`, ...: the header says `Merge Request Hook`. */
function typeOf(payload: unknown): string | undefined {
  const kind =
    typeof payload === 'object' && payload !== null ? (payload as Record<string, unknown>)['object_kind'] : null;
  return typeof kind === 'string' && /^[a-z_]{1,64}$/.test(kind) ? kind : undefined;
}
