/**
 * What a function was given is not to be read in its log or its errors, even if it prints it: there it is `***`. The
 * usual spellings are found; a program that wants to hide what it prints can.
 */
export type Mask = (text: string) => string;

export const MASK_NONE: Mask = (text) => text;

/** Shorter ones are in too many words. */
const SHORTEST = 6;
/** Longer ones are found by pieces, so that a long line which was cut shows no more of one than this. */
const PIECE = 512;
/** Below all secrets of one function in all spellings and pieces: 256 KiB are 5,000. */
const MOST_HEADS = 20_000;
const STARS = '***';

/** `values`: as functions get them. */
export function createMask(values: readonly Buffer[]): Mask {
  const byHead = byFirstSigns(values.flatMap(spellingsOf).flatMap(piecesOf));
  if (byHead.size === 0) return MASK_NONE;
  // Only what they begin with: a pattern of whole values would be too large, and its error would repeat them.
  const heads = new RegExp([...byHead.keys()].slice(0, MOST_HEADS).map(escaped).join('|'), 'g');
  return (text) => {
    let masked = '';
    let shown = 0;
    heads.lastIndex = 0;
    for (let head = heads.exec(text); head !== null; head = heads.exec(text)) {
      const length = lengthAt(text, head.index, byHead.get(head[0]) ?? []);
      heads.lastIndex = head.index + Math.max(length, 1);
      if (length === 0) continue;
      // Those that touch are one: how many pieces there were says how long it is.
      const isTouching = head.index === shown && masked !== '';
      masked += isTouching ? '' : text.slice(shown, head.index) + STARS;
      shown = head.index + length;
    }
    return shown === 0 ? text : masked + text.slice(shown);
  };
}

/** How much of the text from there on is one of these, or the beginning of one that the end of the line cut; 0: nothing. */
function lengthAt(text: string, index: number, spellings: readonly string[]): number {
  const whole = spellings.find((spelling) => text.startsWith(spelling, index));
  if (whole !== undefined) return whole.length;
  const rest = text.slice(index, index + PIECE).replace(/…$/, '');
  const isLast = index + PIECE > text.length;
  return isLast && spellings.some((spelling) => spelling.startsWith(rest)) ? rest.length : 0;
}

function byFirstSigns(spellings: readonly string[]): Map<string, string[]> {
  const byHead = new Map<string, string[]>();
  for (const spelling of new Set(spellings)) {
    if (spelling.length < SHORTEST) continue;
    const head = spelling.slice(0, SHORTEST);
    const same = byHead.get(head);
    if (same === undefined) byHead.set(head, [spelling]);
    else same.push(spelling);
  }
  // The longest first: one may begin with another.
  for (const same of byHead.values()) same.sort((one, other) => other.length - one.length);
  return byHead;
}

function piecesOf(spelling: string): string[] {
  if (spelling.length <= PIECE) return [spelling];
  return Array.from({ length: Math.ceil(spelling.length / PIECE) }, (_, index) =>
    spelling.slice(index * PIECE, (index + 1) * PIECE),
  );
}

function spellingsOf(value: Buffer): string[] {
  const text = value.toString('utf8');
  const whole = text.trim();
  // Log lines end at newlines, so each line of a key file has to be found by itself.
  const lines = whole.split(/\r?\n/).map((line) => line.trim());
  const quoted = [whole, ...lines].map((one) => JSON.stringify(one).slice(1, -1));
  const encoded = [value, Buffer.from(whole)].flatMap((bytes) => [
    bytes.toString('base64'),
    bytes.toString('base64').replace(/=+$/, ''),
    bytes.toString('base64url'),
    bytes.toString('hex'),
    bytes.toString('hex').toUpperCase(),
  ]);
  return [whole, ...lines, ...quoted, uri(whole), ...encoded];
}

/** A lone half of a surrogate pair has no such spelling. */
function uri(text: string): string {
  try {
    return encodeURIComponent(text);
  } catch {
    return text;
  }
}

const escaped = (text: string) => text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
