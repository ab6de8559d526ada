import { describe, expect, test } from 'vitest';
import { parseAddress } from '../../../runtime/sandbox/egress/addresses.ts';
import { compilePolicy, normaliseName, refuseText } from '../../../runtime/sandbox/egress/rules.ts';
import type { EgressRule } from '../../../runtime/sandbox/types.ts';

const list = (...allow: EgressRule[]) => compilePolicy({ mode: 'list', allow });
const rule = (host: string, port: number | '*' = 443, trustResolved?: boolean): EgressRule =>
  trustResolved === undefined ? { host, port } : { host, port, trustResolved };

describe('normaliseName', () => {
  test('ignores case and one trailing dot', () => {
    expect(normaliseName('API.Example.COM.')).toBe('api.example.com');
    expect(normaliseName('_dmarc.example.com')).toBe('_dmarc.example.com');
  });

  test.each([
    '',
    '.',
    'a..b',
    '-a.b',
    'a-.b',
    'a b',
    'ex_\u00e4.com',
    `${'a'.repeat(64)}.com`,
    `${'a.'.repeat(127)}aa`,
    '127.0.0.1',
    '2130706433',
    '0x7f.1',
    'x.0x7f000001',
    'a/b',
  ])('%j is no host name', (text) => {
    expect(normaliseName(text)).toBeNull();
  });
});

describe('names', () => {
  test('an exact rule covers that name alone, on its port', () => {
    const policy = list(rule('Api.Example.com.'));
    expect(policy.allowsName('api.example.com')).toBe(true);
    expect(policy.matchName('api.example.com', 443)).toEqual({ trust: false });
    expect(policy.matchName('api.example.com', 80)).toBeNull();
    expect(policy.allowsName('x.api.example.com')).toBe(false);
    expect(policy.allowsName('example.com')).toBe(false);
    expect(policy.allowsName('evilapi.example.com')).toBe(false);
  });

  test('a suffix rule covers one label in front, not the suffix itself and not two labels', () => {
    const policy = list(rule('*.example.com', '*'));
    expect(policy.matchName('a.example.com', 5432)).toEqual({ trust: false });
    expect(policy.allowsName('a.b.example.com')).toBe(false);
    expect(policy.allowsName('example.com')).toBe(false);
    expect(policy.allowsName('badexample.com')).toBe(false);
  });

  test('trust comes only from a rule that covers name and port', () => {
    const policy = list(rule('a.test', 1, true), rule('*.test', '*'));
    expect(policy.matchName('a.test', 1)).toEqual({ trust: true });
    expect(policy.matchName('a.test', 2)).toEqual({ trust: false });
    expect(policy.matchName('b.test', 1)).toEqual({ trust: false });
  });

  test('public covers every name, none covers no name', () => {
    expect(compilePolicy({ mode: 'public' }).matchName('anything.test', 25)).toEqual({ trust: false });
    expect(compilePolicy({ mode: 'none' }).allowsName('anything.test')).toBe(false);
    expect(list().allowsName('anything.test')).toBe(false);
  });
});

describe('addresses', () => {
  const refuse = (policy: ReturnType<typeof list>, text: string, port = 443, by: 'name' | 'address' = 'address') =>
    refuseText(policy, text, port, by, []);

  test.each(['127.0.0.1', '10.1.2.3', '169.254.169.254', '::ffff:127.0.0.1', '::1', 'fd00:ec2::254', '64:ff9b::a00:1'])(
    'public refuses %s, also as what a name resolved to',
    (text) => {
      const policy = compilePolicy({ mode: 'public' });
      expect(refuse(policy, text)).toMatch(/not public/);
      expect(refuse(policy, text, 443, 'name')).toMatch(/not public/);
    },
  );

  test('public allows public addresses', () => {
    expect(refuse(compilePolicy({ mode: 'public' }), '8.8.8.8')).toBeNull();
    expect(refuse(compilePolicy({ mode: 'public' }), '2606:4700::1111')).toBeNull();
  });

  test('a list allows only the addresses that it names', () => {
    const policy = list(rule('8.8.8.8'), rule('192.168.0.0/16', 5432), rule('[fd00::]', '*'));
    expect(refuse(policy, '8.8.8.8')).toBeNull();
    expect(refuse(policy, '8.8.4.4')).toMatch(/no rule/);
    expect(refuse(policy, '8.8.8.8', 80)).toMatch(/no rule/);
    expect(refuse(policy, '192.168.7.7', 5432)).toBeNull();
    expect(refuse(policy, '192.168.7.7', 443)).toMatch(/not public/);
    expect(refuse(policy, 'fd00::', 1)).toBeNull();
  });

  test('a wide network opens the internet and not the neighbours', () => {
    const policy = list(rule('0.0.0.0/0', '*'), rule('*', '*'));
    expect(refuse(policy, '8.8.8.8')).toBeNull();
    expect(refuse(policy, '10.0.0.1')).toMatch(/not public/);
    expect(refuse(policy, '169.254.169.254')).toMatch(/metadata/);
    expect(refuse(list(rule('169.254.0.0/16', '*')), '169.254.169.254')).toMatch(/metadata/);
    expect(refuse(list(rule('169.254.169.254', 80)), '169.254.169.254', 80)).toBeNull();
  });

  test('an address of the host needs a rule for exactly that address', () => {
    const own = [parseAddress('203.0.113.5') ?? new Uint8Array()];
    const check = (policy: ReturnType<typeof list>) => refuseText(policy, '203.0.113.5', 443, 'address', own);
    expect(check(compilePolicy({ mode: 'public' }))).toMatch(/address of the host/);
    expect(check(list(rule('203.0.113.0/24')))).toMatch(/address of the host/);
    expect(check(list(rule('203.0.113.5')))).toBeNull();
  });

  test('text that is no address is refused', () => {
    expect(refuse(compilePolicy({ mode: 'public' }), '2130706433')).toBe('it is no address');
  });
});

test.each([
  ['a bad name', rule('exa mple.com')],
  ['a URL', rule('https://example.com')],
  ['a star in the middle', rule('a.*.com')],
  ['a bad network', rule('10.0.0.0/40')],
  ['port 0', rule('a.test', 0)],
  ['port 65536', rule('a.test', 65536)],
])('a policy with %s is refused', (_, bad) => {
  expect(() => list(bad)).toThrow(expect.objectContaining({ code: 'invalid_policy' }));
});
