import { describe, expect, it } from 'vitest';
import { shareOf, toPicture } from '../../bench/report/picture.ts';
import { judge, type Results, SCHEMA } from '../../bench/report/results.ts';
import { toSummary, toText } from '../../bench/report/table.ts';
import { atLeast, atMost, compare, notHere } from '../../bench/rows.ts';
import type { Row } from '../../bench/types.ts';

const compared = compare({
  what: 'first <call> & more',
  ours: [5, 4, 6],
  reference: { name: 'bare', samples: [20, 10, 40] },
  p50: atMost(0.25),
  p99: atMost(0.1),
  faster: atLeast(4),
  notes: ['blanks ready: 2 node'],
});

const toTable = (all: Results) => [...all.rows.map(toText), toSummary(all)].join('\n');

const results = (...rows: Row[]): Results => ({
  schema: SCHEMA,
  at: '2026-01-02T03:04:05.000Z',
  quick: false,
  seconds: 10,
  host: {
    kernel: '6.1',
    cpu: 'a cpu',
    cores: 2,
    memoryMb: 1000,
    limits: 'v2',
    node: { host: '20.19.0', base: '24.0.0' },
    python: { base: '3.11.2' },
    load: { before: 0.1, after: 1 },
  },
  rows: rows.map((row) => ({ line: 'one', ...row, figures: row.figures.map(judge) })),
});

describe('a row', () => {
  it('compares medians and tails of both, and is judged by its targets', () => {
    expect(compared.ours).toMatchObject({ n: 3, p50: 5, min: 4, p99: 6 });
    const judged = compared.figures.map(judge);
    expect(judged.map(({ what, value, reached }) => [what, value, reached])).toEqual([
      ['p50 ratio', 0.25, true],
      ['p99 ratio', 0.15, false],
      ['times faster', 4, true],
    ]);
  });

  it('without its peer has a reason and no number', () => {
    const table = toTable(results(notHere('beside podman', 'podman is not installed')));
    expect(table).toContain('not here: podman is not installed');
    expect(table).toContain('0 of 0 figures reached; 1 rows not here, 0 failed');
  });
});

describe('the table', () => {
  it('says of each figure what it is, what is to be reached, and whether it is', () => {
    const table = toTable(results(compared));
    expect(table).toMatch(/✓ p50 ratio 0\.25 {3}\(to reach: <= 0\.25\)/);
    expect(table).toMatch(/✗ p99 ratio 0\.15 {3}\(to reach: <= 0\.1\)/);
    expect(table).toContain('blanks ready: 2 node');
    expect(table).toContain('2 of 3 figures reached');
  });
});

describe('the picture', () => {
  it('is as long as the share of what the target allows, whichever way that goes', () => {
    expect(shareOf({ ...judge({ what: '', value: 1, target: null }), target: atMost(4) })).toBe(0.25);
    expect(shareOf({ ...judge({ what: '', value: 8, target: null }), target: atLeast(4) })).toBe(0.5);
  });

  it('has a bar for each figure with a target, a description for readers, and text that can not break it', () => {
    const picture = toPicture(results(compared, notHere('beside podman', 'no')));
    expect(picture.match(/<rect class="(reached|missed)"/g)).toHaveLength(3);
    expect(picture).toContain('first &lt;call&gt; &amp; more');
    expect(picture).not.toContain('<call>');
    expect(picture).toMatch(/role="img" aria-labelledby="title desc"/);
    expect(picture).toContain('beside podman: not here');
    expect(picture).toContain('prefers-color-scheme: dark');
  });
});
