/** Globs and `.dockerignore` as tables, and patterns that would take for ever in a backtracking matcher. */
import { describe, expect, it } from 'vitest';
import { compileGlob } from '../../../services/core/images/dockerfile/glob.ts';
import { parseContextIgnore } from '../../../services/core/images/dockerfile/ignore.ts';

describe('compileGlob', () => {
  it.each([
    ['*.js', 'a.js', true],
    ['*.js', 'd/a.js', false],
    ['**/*.js', 'a.js', true],
    ['**/*.js', 'd/e/a.js', true],
    ['d/**', 'd/e/f', true],
    ['d/**', 'd', false],
    ['d/**/f', 'd/f', true],
    ['d/**/f', 'd/x/y/f', true],
    ['d/**/f', 'd/xf', false],
    ['?.js', 'a.js', true],
    ['?.js', '/.js', false],
    ['[a-c].js', 'b.js', true],
    ['[^a-c].js', 'b.js', false],
    ['[a\\]]x', ']x', true],
    ['a\\*', 'a*', true],
    ['a\\*', 'ab', false],
    ['a*b*c', 'axxbyyc', true],
    ['a*b*c', 'axxbyy', false],
    ['**', 'any/thing', true],
    ['é*', 'éx', true],
  ])('%s and %s: %s', (pattern, path, expected) => {
    expect(compileGlob(pattern)(path)).toBe(expected);
  });

  it.each(['[a', 'a\\', 'x'.repeat(2000)])('refuses %s', (pattern) => {
    expect(() => compileGlob(pattern)).toThrow();
  });

  it('I29: takes pattern times path, whatever the pattern', () => {
    const hostile = compileGlob(`${'*a'.repeat(400)}b`);
    const begun = process.cpuUsage().user;
    expect(hostile('a'.repeat(1000))).toBe(false);
    // A matcher that goes back would not end in the age of the universe.
    expect(process.cpuUsage().user - begun).toBeLessThan(20_000_000);
  });
});

describe('.dockerignore', () => {
  it.each([
    ['node_modules', 'node_modules/x/y', true],
    ['node_modules', 'app/node_modules/x', false],
    ['**/node_modules', 'app/node_modules/x', true],
    ['/build/', 'build/x', true],
    ['./build', 'build', true],
    ['a/../b', 'b/x', true],
    ['# comment\n*.md', 'a.md', true],
    ['*\n!keep', 'keep', false],
    ['*\n!keep', 'other', true],
    ['*\n!keep/in', 'keep/in/side', false],
    ['!a\na', 'a', true],
    ['*.md\n!README.md\nREADME*', 'README.md', true],
    ['  spaced  ', 'spaced', true],
    ['', 'a', false],
    ['!', 'a', false],
    ['.', 'a', false],
    ['../x', 'x', true],
    ['x\r\ny', 'y', true],
  ])('%j and %s: ignored is %s', (text, path, expected) => {
    expect(parseContextIgnore(text).ignores(path)).toBe(expected);
  });

  it('names the line of a pattern that is none, and caps their number', () => {
    expect(() => parseContextIgnore('a\n[b')).toThrow('.dockerignore:2:1');
    expect(() => parseContextIgnore('a\n'.repeat(5000))).toThrow('patterns');
  });
});
