/** The table of addresses that are not public, against the two modules that know them: that of sandboxes and that of callbacks. */
import { describe, expect, it } from 'vitest';
import { notPublic, parseAddress } from '../../../runtime/sandbox/egress/addresses.ts';
import { compilePolicy, normaliseName, refuseText } from '../../../runtime/sandbox/egress/rules.ts';
import { isPublicAddress } from '../../../services/core/public-address.ts';
import { NOT_PUBLIC, withoutBrackets } from '../../fixtures/addresses-not-public.ts';

const HOSTS = NOT_PUBLIC.map(withoutBrackets);
const EVERYTHING = compilePolicy({
  mode: 'list',
  allow: ['0.0.0.0/0', '::/0', '*'].map((host) => ({ host, port: '*' as const })),
});

it('has at least 120 of them', () => {
  expect(new Set(HOSTS).size).toBeGreaterThanOrEqual(120);
});

describe('egress', () => {
  it.each(HOSTS)('refuses %s as a name that is looked up, and as an address', (host) => {
    expect(normaliseName(host)).toBeNull();
    for (const policy of [compilePolicy({ mode: 'public' }), EVERYTHING])
      for (const by of ['name', 'address'] as const) expect(refuseText(policy, host, 80, by, [])).not.toBeNull();
  });
});

/** Every 251st address around the borders of all blocks would be many; these are random, but the same each time. */
function* addresses(count: number): Generator<string> {
  let seed = 20_261_121;
  const random = (below: number) => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed % below;
  };
  for (let i = 0; i < count; i++) yield Array.from({ length: 4 }, () => random(256)).join('.');
  const first = ['2001', '2002', '2606', '2a00', 'fc00', 'fe80', 'ff02', '64', '0', '3fff', '4000', '2620'];
  for (let i = 0; i < count; i++) {
    const rest = Array.from({ length: 7 }, () => (random(3) === 0 ? 0 : random(65_536)).toString(16));
    yield [first[random(first.length)], ...rest].join(':');
  }
}

it('egress and callbacks agree on what is public', () => {
  const differs = [...addresses(20_000)].filter((text) => {
    const address = parseAddress(text);
    return address === null || (notPublic(address) === null) !== isPublicAddress(text);
  });
  expect(differs).toEqual([]);
});
