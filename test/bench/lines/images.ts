/** Builds and imports of images beside buildah and umoci. */
import { measureImages } from '../images.ts';
import { atMost, below, compare } from '../rows.ts';
import { single } from '../stats.ts';
import type { BenchContext, Line, Row, Target } from '../types.ts';

const PAIRS: { what: string; ours: string; theirs: string; target: Target | null; note: string }[] = [
  {
    what: 'cached build over HTTP',
    ours: 'wafer build, cached (HTTP)',
    theirs: 'buildah bud --layers, cached',
    target: below(0.2),
    note: '',
  },
  {
    what: 'cached build by the CLI',
    ours: 'wafer build, cached (CLI)',
    theirs: 'buildah bud --layers, cached',
    target: null,
    note: 'a Node start included',
  },
  {
    what: 'cold build over HTTP',
    ours: 'wafer build, cold (HTTP)',
    theirs: 'buildah bud, cold',
    target: atMost(1),
    note: '',
  },
  {
    what: 'import of a 300 MB image',
    ours: 'wafer import, 300 MB',
    theirs: 'umoci unpack, 300 MB',
    target: atMost(1),
    note: '',
  },
];

async function measure(context: BenchContext): Promise<Row[]> {
  const wafer = await context.platform();
  const rounds = { cached: context.count(7, 3), cold: context.count(4, 1), unpack: context.count(3, 1) };
  const { samples, second } = await measureImages(wafer, rounds);
  const rows = PAIRS.map(({ what, ours, theirs, target, note }) =>
    compare({
      what,
      ours: samples[ours] ?? [],
      reference: { name: theirs, samples: samples[theirs] ?? [] },
      p50: target,
      notes: note === '' ? [] : [note],
    }),
  );
  const added: Row = {
    what: 'disk that a second image on the same base adds',
    unit: 'bytes',
    ours: single(second.added),
    reference: null,
    figures: [{ what: 'times its own files', value: second.added / second.own, target: null }],
    notes: [`its own file has ${second.own} bytes`],
  };
  return [...rows, added];
}

export const lines: Line[] = [
  { name: 'images', group: 'images', about: 'builds and imports beside buildah and umoci', measure },
];
