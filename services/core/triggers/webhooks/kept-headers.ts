/** Headers of a delivery as they are kept and shown: without what is secret itself, or only of the connection. */
import type { Headers } from './schemes/types.ts';
import type { Webhook } from './types.ts';

/** `x-gitlab-token` is the secret of the scheme `gitlab`. */
const SECRET = new Set(['authorization', 'proxy-authorization', 'cookie', 'x-gitlab-token']);
const CONNECTION = new Set(['connection', 'keep-alive', 'transfer-encoding', 'te', 'trailer', 'upgrade', 'expect']);
const HIDDEN = '(not kept)';

export function keptHeaders(headers: Headers, { scheme, settings }: Webhook): Record<string, string> {
  const own = scheme === 'bearer' ? settings.header : undefined;
  const kept: [string, string][] = [];
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || CONNECTION.has(name)) continue;
    kept.push([name, SECRET.has(name) || name === own ? HIDDEN : value]);
  }
  return Object.fromEntries(kept);
}
