/** `WWW-Authenticate` of a registry (RFC 9110, 11.6.1; the Bearer parameters are those of the distribution's token spec). */
export type Challenge = { scheme: 'basic' } | { scheme: 'bearer'; realm: string; service: string | null };

const PARAMETER = /^[\s,]*([A-Za-z][A-Za-z0-9_-]*)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))/;
const MAX_HEADER = 4_096;

function parameters(text: string): Map<string, string> {
  const found = new Map<string, string>();
  let rest = text;
  for (let match = PARAMETER.exec(rest); match !== null; match = PARAMETER.exec(rest)) {
    const [whole, name = '', quoted, plain] = match;
    found.set(name.toLowerCase(), quoted === undefined ? (plain ?? '') : quoted.replace(/\\(.)/g, '$1'));
    rest = rest.slice(whole.length);
  }
  return found;
}

/** Null for a scheme that we do not speak, or a challenge without what it needs. */
export function parseChallenge(header: string | undefined): Challenge | null {
  if (header === undefined || header.length > MAX_HEADER) return null;
  const [, scheme = '', rest = ''] = /^\s*([A-Za-z]+)(?:\s+(.*))?$/s.exec(header) ?? [];
  if (scheme.toLowerCase() === 'basic') return { scheme: 'basic' };
  if (scheme.toLowerCase() !== 'bearer') return null;
  const found = parameters(rest);
  const realm = found.get('realm');
  return realm === undefined || !URL.canParse(realm)
    ? null
    : { scheme: 'bearer', realm, service: found.get('service') ?? null };
}
