import { describe, expect, test } from 'vitest';
import { jsonItems, scanJson } from '../../../services/core/scan-json.ts';
import { createRandom } from '../../bench/random.ts';

const DEPTH = 50;
const scan = (text: string) => scanJson(Buffer.from(text), DEPTH);

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

describe('a scan of JSON', () => {
  test.each([
    ...['0', '-0', '12', '-1.5', '1e9', '1E-9', '1.25e+3', '""', '"a"', '"\\u00e9\\n\\\\\\""', '"\\ud800"', '"é😀"'],
    ...['true', 'false', 'null', '[]', '{}', ' [ ] ', '\t{\n}\r', '[1,[2,{"a":[]}],"x"]', '{"a":1,"a":{"b":null}}'],
  ])('takes %j', (text) => expect([scan(text), parses(text)]).toEqual(['ok', true]));

  test.each([
    ...[
      '',
      ' ',
      '01',
      '-',
      '+1',
      '.5',
      '1.',
      '1e',
      '1e+',
      '0x1',
      'NaN',
      'Infinity',
      '-Infinity',
      'tru',
      'truex',
      'nul',
    ],
    ...[
      '"',
      '"a',
      '"\\x41"',
      '"\\u12g4"',
      '"\\u12',
      '"\t"',
      '"\n"',
      "'a'",
      '[',
      ']',
      '[1',
      '[1,]',
      '[,1]',
      '[1 2]',
      '[1}',
    ],
    ...['{', '}', '{a:1}', '{"a"}', '{"a":}', '{"a":1,}', '{,}', '{1:2}', '{"a":1]', '{"a" 1}', '1 2', '[]]', '{}{}'],
    ...['\ufeff{}', '\u00a01', '// a\n1', '[1] x', '"\u0000"', '\u0000'],
  ])('refuses %j', (text) => expect([scan(text), parses(text)]).toEqual(['invalid', false]));

  test('is deep from the first level that is too much, whatever comes after it', () => {
    const nested = (levels: number) => `${'[{"a":'.repeat(levels / 2)}1${'}]'.repeat(levels / 2)}`;
    expect(scan(nested(DEPTH))).toBe('ok');
    expect(scan(nested(DEPTH + 2))).toBe('deep');
    expect(scan('['.repeat(DEPTH + 1))).toBe('deep');
    expect(scan('['.repeat(DEPTH))).toBe('invalid');
    expect(scan(`[${'[]'.repeat(1)}${',[]'.repeat(1000)}]`)).toBe('ok');
  });

  test('says the same as the parser of 200,000 texts that are JSON but for a few characters', () => {
    const { uniform } = createRandom(7);
    const pick = <T>(from: readonly T[]) => from[Math.floor(uniform() * from.length)] as T;
    const seeds = ['{"a":[1,-2.5e3,true,null],"b":{"c":"d\\u0041\\n"},"":[]}', '[[],{},"x",0,false]', ' {"k" : "v" } '];
    const noise = [...'{}[],:"\\/ \n\t01-+.eEu9atrfnls\u0001é'];
    for (let round = 0; round < 200_000; round++) {
      const text = [...pick(seeds)];
      for (let edit = 0; edit <= round % 4; edit++) {
        const at = Math.floor(uniform() * (text.length + 1));
        text.splice(at, pick([0, 1, 1, 2]), ...pick([[], [pick(noise)], [pick(noise), pick(noise)]]));
      }
      const made = text.join('');
      if ((scan(made) === 'ok') !== parses(made)) expect([made, scan(made)]).toEqual([made, parses(made)]);
    }
  });
});

describe('the items of a list', () => {
  const items = (text: string) => jsonItems(Buffer.from(text))?.map(String) ?? null;

  test.each([
    ['[]', []],
    [' [ ] ', []],
    ['[1]', ['1']],
    ['[12345678901234567890, 1.0e5]', ['12345678901234567890', '1.0e5']],
    [
      '[ "a]\\"," , {"b":[1,"}"],"c":{}} ,[[],[{}]],null,true , -1 ]',
      ['"a]\\","', '{"b":[1,"}"],"c":{}}', '[[],[{}]]', 'null', 'true', '-1'],
    ],
    ['{"a":[1]}', null],
    ['"[1]"', null],
    ['', null],
  ])('of %s are as they were written', (text, expected) => expect(items(text)).toEqual(expected));

  test('of random lists are what a parser finds', () => {
    const { uniform: random } = createRandom(7);
    const make = (depth: number): unknown => {
      const kind = Math.floor(random() * (depth > 3 ? 4 : 6));
      if (kind === 4) return Array.from({ length: Math.floor(random() * 4) }, () => make(depth + 1));
      if (kind === 5) return Object.fromEntries(Array.from({ length: 2 }, (_, n) => [`k${n}"[{`, make(depth + 1)]));
      return [null, random() > 0.5, (random() - 0.5) * 1e6, '[",\\"]}'][kind];
    };
    for (let round = 0; round < 500; round++) {
      const list = Array.from({ length: Math.floor(random() * 6) }, () => make(0));
      expect(items(JSON.stringify(list, null, round % 3))).toHaveLength(list.length);
      expect(items(JSON.stringify(list))).toEqual(list.map((one) => JSON.stringify(one)));
    }
  });
});
