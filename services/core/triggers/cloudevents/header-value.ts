/** Header values of the HTTP binding, section 3.1.3.2: quoted, or not; percent-encoded UTF-8. */

/** Null for what is no valid UTF-8. */
export function decodeHeader(value: string): string | null {
  const plain = /^"(?:[^"\\]|\\.)*"$/s.test(value) ? value.slice(1, -1).replaceAll(/\\(.)/gs, '$1') : value;
  // Node gives headers as latin-1, so bytes that were not encoded are one character each.
  if (/[^\x20-\x7e]/.test(plain)) return null;
  const encoded = plain.replaceAll(/%(?![0-9A-Fa-f]{2})/g, '%25');
  try {
    return decodeURIComponent(encoded);
  } catch {
    return null;
  }
}

/** Space, `"`, `%` and all that is no printable ASCII. */
export const encodeHeader = (value: string): string =>
  [...value].map((letter) => (/^[\x21\x23\x24\x26-\x7e]$/.test(letter) ? letter : encodeLetter(letter))).join('');

const encodeLetter = (letter: string) =>
  [...Buffer.from(letter, 'utf8')].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('');
