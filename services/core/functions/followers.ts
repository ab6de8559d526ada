/** What `onSuccess` and `onFailure` name: a function, or a URL. */
import { isName } from './names.ts';

export type Follower = { kind: 'function'; name: string } | { kind: 'url'; url: string };

const MOST_URL = 2_048;
const isUrl = (text: string) => text.includes('://');

/** Of text that `badFollower` has nothing against. */
export const toFollower = (text: string): Follower =>
  isUrl(text) ? { kind: 'url', url: text } : { kind: 'function', name: text };

/** What is wrong with it, or null. Where a URL leads is for whoever saves it: `triggers/callbacks/addresses.ts`. */
export function badFollower(text: string): string | null {
  if (isUrl(text)) return badCallbackUrl(text);
  return isName(text) ? null : 'must be the name of a function, or a URL that begins with http:// or https://';
}

/** The same of a URL alone. */
export function badCallbackUrl(text: string): string | null {
  // Parsers pass over it, and two headers come as one with it.
  if (/\s/.test(text)) return 'must not hold white space';
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null) return 'is not a URL';
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return 'must begin with http:// or https://';
  if (url.username !== '' || url.password !== '') return 'must not hold a name or a password';
  if (text.length > MOST_URL) return `must not have more than ${MOST_URL} characters`;
  return null;
}
