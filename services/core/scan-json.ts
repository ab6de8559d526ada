/**
 * Whether bytes are JSON (RFC 8259), in one pass and without making anything of them: an
 * event only passes through, and to parse it would cost its size in garbage and its
 * time on the way of every other call. The bytes are UTF-8, which is checked elsewhere.
 */

const QUOTE = 0x22;
const PLUS = 0x2b;
const COMMA = 0x2c;
const MINUS = 0x2d;
const DOT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const OPEN_LIST = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_LIST = 0x5d;
const SMALL_U = 0x75;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** `deep`: lists and objects in one another to more than `maxDepth` levels, whatever comes after that. */
export function scanJson(bytes: Uint8Array, maxDepth: number): 'ok' | 'deep' | 'invalid' {
  /** What closes each level that is open. */
  const closers = new Uint8Array(maxDepth + 1);
  let depth = 0;
  let at = skipSpace(bytes, 0);
  for (;;) {
    const first = bytes[at];
    const opens = first === OPEN_LIST || first === OPEN_OBJECT;
    if (opens) {
      if (depth === maxDepth) return 'deep';
      closers[++depth] = first === OPEN_OBJECT ? CLOSE_OBJECT : CLOSE_LIST;
      at = skipSpace(bytes, at + 1);
    }
    if (opens && bytes[at] !== closers[depth]) {
      if (first === OPEN_OBJECT) at = skipKey(bytes, at);
      if (at < 0) return 'invalid';
      continue;
    }
    // A value has ended, or its closer comes.
    at = opens ? at : skipScalar(bytes, at);
    if (at < 0) return 'invalid';
    for (at = skipSpace(bytes, at); depth > 0 && bytes[at] === closers[depth]; at = skipSpace(bytes, at + 1)) depth--;
    if (depth === 0) return at === bytes.length ? 'ok' : 'invalid';
    if (bytes[at] !== COMMA) return 'invalid';
    at = skipSpace(bytes, at + 1);
    if (closers[depth] === CLOSE_OBJECT) at = skipKey(bytes, at);
    if (at < 0) return 'invalid';
  }
}

/** The items of a list as they were written: to parse and write them again would change large numbers. Of valid JSON; null: no list. */
export function jsonItems(bytes: Buffer): Buffer[] | null {
  let at = skipSpace(bytes, 0);
  if (bytes[at] !== OPEN_LIST) return null;
  const items: Buffer[] = [];
  at = skipSpace(bytes, at + 1);
  while (at < bytes.length && bytes[at] !== CLOSE_LIST) {
    const end = skipItem(bytes, at);
    items.push(bytes.subarray(at, end));
    at = skipSpace(bytes, end);
    if (bytes[at] === COMMA) at = skipSpace(bytes, at + 1);
  }
  return items;
}

/** Behind a value of any depth. */
function skipItem(bytes: Uint8Array, from: number): number {
  let depth = 0;
  for (let at = from; ; ) {
    const byte = bytes[at];
    if (byte === OPEN_LIST || byte === OPEN_OBJECT) depth++;
    else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) depth--;
    const isScalar = byte === QUOTE || byte === MINUS || isDigit(byte) || ((byte ?? 0) >= 0x61 && (byte ?? 0) <= 0x7a);
    at = isScalar ? skipScalar(bytes, at) : at + 1;
    if (depth === 0 && byte !== COMMA && byte !== COLON) return at;
    at = skipSpace(bytes, at);
  }
}

function skipSpace(bytes: Uint8Array, from: number): number {
  let at = from;
  for (;;) {
    const byte = bytes[at];
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return at;
    at++;
  }
}

/** To the value behind a key and its colon, or -1. */
function skipKey(bytes: Uint8Array, from: number): number {
  if (bytes[from] !== QUOTE) return -1;
  const end = skipString(bytes, from);
  if (end < 0) return -1;
  const colon = skipSpace(bytes, end);
  return bytes[colon] === COLON ? skipSpace(bytes, colon + 1) : -1;
}

/** Behind a string, number or word, or -1. */
function skipScalar(bytes: Uint8Array, from: number): number {
  const byte = bytes[from];
  if (byte === QUOTE) return skipString(bytes, from);
  if (byte === MINUS || isDigit(byte)) return skipNumber(bytes, from);
  for (const word of WORDS)
    if (word.every((letter, index) => bytes[from + index] === letter)) return from + word.length;
  return -1;
}

const WORDS = ['true', 'false', 'null'].map((word) => [...Buffer.from(word)]);

function skipString(bytes: Uint8Array, from: number): number {
  for (let at = from + 1; ; ) {
    const byte = bytes[at];
    if (byte === QUOTE) return at + 1;
    if (byte === undefined || byte < 0x20) return -1;
    if (byte !== BACKSLASH) at++;
    else if (bytes[at + 1] === SMALL_U && isHex(bytes, at + 2)) at += 6;
    else if (ESCAPED.has(bytes[at + 1])) at += 2;
    else return -1;
  }
}

const ESCAPED = new Set<number | undefined>(Buffer.from('"\\/bfnrt'));

function isHex(bytes: Uint8Array, from: number): boolean {
  for (let at = from; at < from + 4; at++) {
    const byte = bytes[at] ?? 0;
    const letter = byte | 0x20;
    if (!isDigit(byte) && !(letter >= 0x61 && letter <= 0x66)) return false;
  }
  return true;
}

const isDigit = (byte: number | undefined) => byte !== undefined && byte >= ZERO && byte <= NINE;

function skipNumber(bytes: Uint8Array, from: number): number {
  let at = bytes[from] === MINUS ? from + 1 : from;
  at = bytes[at] === ZERO ? at + 1 : skipDigits(bytes, at);
  if (at >= 0 && bytes[at] === DOT) at = skipDigits(bytes, at + 1);
  if (at < 0 || ((bytes[at] ?? 0) | 0x20) !== 0x65) return at;
  const sign = bytes[at + 1];
  return skipDigits(bytes, sign === PLUS || sign === MINUS ? at + 2 : at + 1);
}

/** At least one, or -1. */
function skipDigits(bytes: Uint8Array, from: number): number {
  let at = from;
  while (isDigit(bytes[at])) at++;
  return at === from ? -1 : at;
}
