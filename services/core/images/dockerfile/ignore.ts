/**
 * `.dockerignore`: patterns from the root of the context, the last one that matches a path or a
 * folder above it decides, `!` takes back, also what lies in an ignored folder.
 */
import { WaferError } from '../../errors.ts';
import { compileGlob, GlobError, type GlobTest } from './glob.ts';
import { DOCKERFILE_LIMITS } from './limits.ts';

export interface ContextIgnore {
  ignores(path: string): boolean;
  /** An ignored folder may still hold something that is not: look into it. */
  hasExceptions: boolean;
}

interface Rule {
  test: GlobTest;
  negated: boolean;
}

/** `./a//b/../c` -> `a/c`; what leaves the context names nothing in it. */
function clean(pattern: string): string {
  const parts: string[] = [];
  for (const part of pattern.split('/')) {
    if (part === '' || part === '.') continue;
    if (part === '..') parts.pop();
    else parts.push(part);
  }
  return parts.join('/');
}

function parseRule(line: string, number: number, file: string): Rule | null {
  if (line.startsWith('#')) return null;
  const text = line.trim();
  const negated = text.startsWith('!');
  const pattern = clean(negated ? text.slice(1).trim() : text);
  if (pattern === '') return null;
  try {
    return { test: compileGlob(pattern), negated };
  } catch (error) {
    if (!(error instanceof GlobError)) throw error;
    throw new WaferError('invalid_dockerfile', `${file}:${number}:1: the pattern is not valid: ${error.message}.`, {
      details: { file, line: number, column: 1 },
    });
  }
}

/** @throws WaferError `invalid_dockerfile` with the line */
export function parseContextIgnore(text: string, file = '.dockerignore'): ContextIgnore {
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/);
  const rules = lines.flatMap((line, index) => parseRule(line, index + 1, file) ?? []);
  if (rules.length > DOCKERFILE_LIMITS.ignorePatterns) {
    throw new WaferError('invalid_dockerfile', `${file} has more than ${DOCKERFILE_LIMITS.ignorePatterns} patterns.`);
  }
  return {
    hasExceptions: rules.some((rule) => rule.negated),
    ignores(path) {
      const parts = path.split('/');
      const paths = parts.map((_, index) => parts.slice(0, index + 1).join('/'));
      return rules.findLast((rule) => paths.some(rule.test))?.negated === false;
    },
  };
}
