import { nearest } from '../core/functions/nearest.ts';

/** The known word that was probably meant: what `word` begins, else the one a slip of the finger away; null for none. */
export function suggest(word: string, known: readonly string[]): string | null {
  const begun = word.length >= 2 ? known.filter((candidate) => candidate.startsWith(word)) : [];
  return begun.length === 1 ? (begun[0] ?? null) : (nearest(word, known) ?? null);
}
