/**
 * Patterns of `.dockerignore` and of COPY, matched by following all states at once: the time
 * is pattern times path, whatever the pattern is, so no pattern of a stranger can take long.
 */
import { DOCKERFILE_LIMITS } from './limits.ts';

export type GlobTest = (path: string) => boolean;

type Token =
  | { kind: 'char'; char: string }
  | { kind: 'any' }
  | { kind: 'star' }
  | { kind: 'rest' }
  /** Nothing, or folders up to a slash: entered here, gone through in the next one. */
  | { kind: 'folders' }
  | { kind: 'within' }
  | { kind: 'class'; negated: boolean; ranges: [string, string][] };

export class GlobError extends Error {
  override readonly name = 'GlobError';
}

function readClass(pattern: string, start: number): { token: Token; end: number } {
  let at = start + 1;
  const negated = pattern[at] === '^';
  if (negated) at += 1;
  const ranges: [string, string][] = [];
  const one = () => {
    if (pattern[at] === '\\') at += 1;
    const char = pattern[at++];
    if (char === undefined) throw new GlobError('a "[" is not closed');
    return char;
  };
  while (pattern[at] !== ']' || ranges.length === 0) {
    const low = one();
    let high = low;
    if (pattern[at] === '-' && pattern[at + 1] !== ']') {
      at += 1;
      high = one();
    }
    ranges.push([low, high]);
  }
  return { token: { kind: 'class', negated, ranges }, end: at };
}

function tokenise(pattern: string, doubleStar: boolean): Token[] {
  const tokens: Token[] = [];
  for (let at = 0; at < pattern.length; at += 1) {
    const char = pattern[at] ?? '';
    if (char === '*' && doubleStar && pattern[at + 1] === '*') {
      while (pattern[at + 1] === '*') at += 1;
      if (pattern[at + 1] === '/') at += 1;
      if (at + 1 >= pattern.length) tokens.push({ kind: 'rest' });
      else tokens.push({ kind: 'folders' }, { kind: 'within' });
    } else if (char === '*') {
      if (tokens.at(-1)?.kind !== 'star') tokens.push({ kind: 'star' });
    } else if (char === '?') tokens.push({ kind: 'any' });
    else if (char === '[') {
      const { token, end } = readClass(pattern, at);
      tokens.push(token);
      at = end;
    } else if (char === '\\') {
      at += 1;
      const literal = pattern[at];
      if (literal === undefined) throw new GlobError('it ends with an escape');
      tokens.push({ kind: 'char', char: literal });
    } else tokens.push({ kind: 'char', char });
  }
  return tokens;
}

/** Adds a state and all that can be reached from it without a character. */
function enter(tokens: Token[], state: number, states: Set<number>): void {
  for (let at = state; !states.has(at); ) {
    states.add(at);
    const kind = tokens[at]?.kind;
    if (kind === 'star' || kind === 'rest') at += 1;
    else if (kind === 'folders') {
      states.add(at + 1);
      at += 2;
    } else return;
  }
}

function step(tokens: Token[], state: number, char: string, after: Set<number>): void {
  const token = tokens[state];
  if (token === undefined) return;
  if (token.kind === 'rest') enter(tokens, state, after);
  else if (token.kind === 'within') {
    after.add(state);
    if (char === '/') enter(tokens, state + 1, after);
  } else if (char === '/') {
    if (token.kind === 'char' && token.char === '/') enter(tokens, state + 1, after);
  } else if (token.kind === 'star') enter(tokens, state, after);
  else if (token.kind === 'any' || (token.kind === 'char' && token.char === char)) enter(tokens, state + 1, after);
  else if (token.kind === 'class') {
    const inside = token.ranges.some(([low, high]) => low <= char && char <= high);
    if (inside !== token.negated) enter(tokens, state + 1, after);
  }
}

/** @throws GlobError */
export function compileGlob(pattern: string, { doubleStar = true } = {}): GlobTest {
  if (pattern.length > DOCKERFILE_LIMITS.pattern)
    throw new GlobError(`it is longer than ${DOCKERFILE_LIMITS.pattern} characters`);
  const tokens = tokenise(pattern, doubleStar);
  if (tokens.every((token) => token.kind === 'char')) {
    const literal = tokens.map((token) => (token as { char: string }).char).join('');
    return (path) => path === literal;
  }
  return (path) => {
    let states = new Set<number>();
    enter(tokens, 0, states);
    for (const char of path) {
      const after = new Set<number>();
      for (const state of states) step(tokens, state, char, after);
      if (after.size === 0) return false;
      states = after;
    }
    return states.has(tokens.length);
  };
}

export const hasWildcard = (pattern: string): boolean => /[*?[\\]/.test(pattern);
