/** Every case of the list of hostile inputs (I1-I33: archives, layers, manifests, registries, Dockerfiles) is in the title of a test. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const TESTS = fileURLToPath(new URL('../', import.meta.url));
const SELF = 'hostile-cases.test.ts';
/** What stands in quotes behind it, describe or test, or behind the table of an `each`. */
const TITLE = /(?:\b(?:it|test|describe)(?:\.\w+)*\(|^\s*\][^'"`\n]*\)\()\s*(['"`])((?:(?!\1)[^\\\n]|\\.)*)\1/gm;

function titles(): string[] {
  return readdirSync(TESTS, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts') && !name.endsWith(SELF))
    .flatMap((name) => [...readFileSync(join(TESTS, name), 'utf8').matchAll(TITLE)].map(([, , title = '']) => title));
}

it('of every hostile case there is a test that names it', () => {
  const named = new Set(
    titles().flatMap((title) => [...title.matchAll(/\bI(\d{1,2})\b/g)].map(([, number]) => Number(number))),
  );
  const cases = Array.from({ length: 33 }, (_, at) => at + 1);
  expect(cases.filter((number) => !named.has(number))).toEqual([]);
});
