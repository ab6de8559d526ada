import { describe, expect, it } from 'vitest';
import { together } from '../../../services/core/egress/together.ts';
import type { EgressEntry } from '../../../services/core/egress/types.ts';

const entry = (more: Partial<EgressEntry> = {}): EgressEntry => ({
  time: 1,
  functionName: 'f',
  version: 1,
  instanceId: 'i',
  host: 'a.example',
  port: 443,
  verdict: 'allowed',
  reason: 'rule',
  bytesUp: 1,
  bytesDown: 2,
  durationMs: 5,
  count: 1,
  ...more,
});

describe('entries of one moment', () => {
  it('that say the same are one, with the sum of their bytes and the longest time', () => {
    expect(together([entry(), entry({ time: 3, durationMs: 9 }), entry({ time: 2 })])).toEqual([
      entry({ time: 3, bytesUp: 3, bytesDown: 6, durationMs: 9, count: 3 }),
    ]);
  });

  it.each([
    { functionName: 'g' },
    { instanceId: 'j' },
    { host: 'b.example' },
    { address: '8.8.8.8' },
    { port: 80 },
    { verdict: 'denied' as const },
    { reason: 'other' },
  ])('that differ in %j stay apart', (other) => {
    expect(together([entry(), entry(other)])).toHaveLength(2);
  });

  it('beyond so many different ones of a function are told in a sum, which takes no room from others', () => {
    const ports = Array.from({ length: 10 }, (_, at) => entry({ port: at + 1, verdict: 'denied' }));
    const found = together([...ports, entry({ functionName: 'g' }), entry({ port: 1, verdict: 'denied' })], 3);
    expect(found.map(({ functionName, port, count }) => [functionName, port, count])).toEqual([
      ['f', 1, 2],
      ['f', 2, 1],
      ['f', 3, 1],
      ['f', 0, 7],
      ['g', 443, 1],
    ]);
    expect(found[3]).not.toHaveProperty('host');
  });
});
