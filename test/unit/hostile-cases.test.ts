/**
 * Every case of the list of hostile inputs is in the title of a test: I1-I33 (archives, layers, manifests, registries,
 * Dockerfiles), and of F (what functions do) those about resources, volumes, the network, secrets, settings and ends.
 */
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

const upTo = (last: number) => Array.from({ length: last }, (_, at) => at + 1);

it.each([
  ['I', upTo(33)],
  ['F', [...upTo(14), 26, 29, ...upTo(41).slice(30), 45, 46, 47]],
] as const)('of every hostile case %s there is a test that names it', (letter, cases) => {
  const name = new RegExp(`\\b${letter}(\\d{1,2})\\b`, 'g');
  const named = new Set(titles().flatMap((title) => [...title.matchAll(name)].map(([, number]) => Number(number))));
  expect(cases.filter((number) => !named.has(number))).toEqual([]);
});
