// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is the syntax under test
/** Expansion as a table: quotes, escapes, defaults, scopes, and what blows up. */
import { describe, expect, it } from 'vitest';
import { parseDockerfile } from '../../../services/core/images/dockerfile/parse.ts';
import { createScope, HOST_ARCH, HOST_PLATFORM } from '../../../services/core/images/dockerfile/scope.ts';
import { expandWord, splitPairs, splitWords } from '../../../services/core/images/dockerfile/words.ts';

const VALUES: Record<string, string> = { A: 'a', E: '', B: 'x y', D: '$A', N: 'A' };
const expand = (text: string, mark = '\\') => expandWord(text, (name) => VALUES[name], mark);

describe('expandWord', () => {
  it.each([
    ['plain', 'plain'],
    ['$A', 'a'],
    ['${A}b', 'ab'],
    ['$Ab', ''],
    ['$', '$'],
    ['a$', 'a$'],
    ['$$A', '$a'],
    ['\\$A', '$A'],
    ['\\\\$A', '\\a'],
    ["'$A'", '$A'],
    ['"$A"', 'a'],
    ['"\\$A"', '$A'],
    ['"\\n"', '\\n'],
    ['"a"\'b\'c', 'abc'],
    ['$B', 'x y'],
    ['${U:-d}', 'd'],
    ['${E:-d}', 'd'],
    ['${E-d}', ''],
    ['${U-d}', 'd'],
    ['${A:-d}', 'a'],
    ['${A:+d}', 'd'],
    ['${E:+d}', ''],
    ['${E+d}', 'd'],
    ['${U+d}', ''],
    ['${U:-${A}z}', 'az'],
    ['${U:-${V:-"}"}}', '}'],
    ['${U:-a b}', 'a b'],
    ['$D', '$A'],
    ['${A:?no}', 'a'],
    ['$(id)', '$(id)'],
    ['`id`', '`id`'],
    ['${D}', '$A'],
  ])('%s -> %s', (text, expected) => {
    expect(expand(text)).toBe(expected);
  });

  it('takes the escape of the file', () => {
    expect(expand('`$A\\', '`')).toBe('$A\\');
  });

  it('keeps quotes where they mean nothing', () => {
    expect(expandWord('"$A" \'$A\' \\$A \\n', (name) => VALUES[name], '\\', { quotes: false })).toBe(
      '"a" \'a\' $A \\n',
    );
  });

  it.each([
    ["'a", 'not closed'],
    ['"a', 'not closed'],
    ['"a\\', 'not closed'],
    ['${A', '"}" is missing'],
    ['${A:-x', '"}" is missing'],
    ['${}', 'name'],
    ['${A%x}', 'not supported'],
    ['${U:?is missing}', 'U: is missing'],
    ['${U?}', 'not set'],
    [`${'${U:-'.repeat(100)}${'}'.repeat(100)}`, 'nested'],
  ])('refuses %s', (text, reason) => {
    expect(() => expand(text)).toThrow(reason);
  });

  it('I27: stops a variable that doubles line by line', () => {
    let value = 'x'.repeat(64);
    const grow = () => {
      for (let i = 0; i < 40; i += 1) value = expandWord('${A}${A}', () => value, '\\');
    };
    expect(grow).toThrow('expands to more than');
    expect(value.length).toBeLessThan(1_000_000);
  });
});

describe('splitWords and splitPairs', () => {
  it('split at white space outside quotes', () => {
    expect(splitWords('a "b c" d\\ e \'f\' ', '\\').map(({ word }) => word)).toEqual(['a', '"b c"', 'd\\ e', "'f'"]);
    expect(splitPairs('A=1 B="2 3"', '\\')).toEqual([
      ['A', '1'],
      ['B', '"2 3"'],
    ]);
    expect(splitPairs('A 1  2', '\\')).toEqual([['A', '1  2']]);
  });

  it('refuse what sets nothing', () => {
    expect(() => splitPairs('A=1 B', '\\')).toThrow('NAME=value');
    expect(() => splitPairs('A', '\\')).toThrow('no value');
    expect(() => splitPairs('A="x', '\\')).toThrow('not closed');
  });
});

describe('scopes', () => {
  const open = (text: string, given: Record<string, string> = {}, env: string[] = []) => {
    const { globalArgs, stages } = parseDockerfile(Buffer.from(text), 'f');
    const scope = createScope(globalArgs, given, '\\');
    const stage = scope.stage(() => env);
    for (const one of stages[0]?.instructions ?? []) if (one.keyword === 'ARG') stage.declare(one);
    return { scope, stage };
  };

  it.each([
    ['a global ARG is seen in a stage only after ARG', 'ARG V=1\nFROM a', {}, undefined],
    ['... and then with its value', 'ARG V=1\nFROM a\nARG V', {}, '1'],
    ['a default of the stage wins over the global one', 'ARG V=1\nFROM a\nARG V=2', {}, '2'],
    ['a build argument wins over both', 'ARG V=1\nFROM a\nARG V=2', { V: '3' }, '3'],
    ['an empty build argument counts', 'FROM a\nARG V=2', { V: '' }, ''],
    ['an ARG uses those before it', 'FROM a\nARG W=x\nARG V=${W}y', {}, 'xy'],
    ['an ARG without a value has none', 'FROM a\nARG V', {}, undefined],
  ])('%s', (_what, text, given, expected) => {
    expect(open(text, given).stage.get('V')).toBe(expected);
  });

  it('ENV wins over ARG', () => {
    expect(open('FROM a\nARG V=1', { V: '2' }, ['V=3']).stage.get('V')).toBe('3');
  });

  it('platform arguments are there in FROM, and in a stage after ARG', () => {
    expect(open('FROM a').scope.global('TARGETPLATFORM')).toBe(HOST_PLATFORM);
    expect(open('FROM a').stage.get('TARGETARCH')).toBeUndefined();
    expect(open('FROM a\nARG TARGETARCH').stage.get('TARGETARCH')).toBe(HOST_ARCH);
  });

  it('names build arguments that nobody asked for, but not proxies', () => {
    const { scope } = open('FROM a\nARG V', { V: '1', W: '2', HTTP_PROXY: 'p', SOURCE_DATE_EPOCH: '1' });
    expect(scope.unused()).toEqual(['W']);
  });
});
