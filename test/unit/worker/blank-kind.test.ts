/** What tells blanks apart: one that could reach more than the version that takes it must never fit. */
import { describe, expect, it } from 'vitest';
import type { FunctionVersion } from '../../../services/core/functions/types.ts';
import type { BaseImage } from '../../../services/worker/base-images/index.ts';
import { type BlankKind, blankSpec, keyOf, kindOf } from '../../../services/worker/blanks/kind.ts';
import { NOTHING_YET } from '../../../services/worker/egress/policy.ts';

const base = { name: 'node24', image: { digest: 'sha256:1' }, layers: ['a'] } as unknown as BaseImage;
const kind: BlankKind = { runtime: 'node', base, preload: undefined, points: [], egress: false };
const kindOfConfig = (config: object) =>
  kindOf({ base: 'node24', config: { runtime: 'node', ...config } } as unknown as FunctionVersion, () => base);

describe('blanks', () => {
  it.each<[string, Partial<BlankKind>]>([
    ['with and without a way out', { egress: true }],
    ['of another runtime', { runtime: 'python' }],
    ['of another base', { base: { ...base, image: { ...base.image, digest: 'sha256:2' } } }],
    ['with another preload', { preload: 'typescript' as unknown as NonNullable<BlankKind['preload']> }],
    ['with places for volumes', { points: ['/data'] }],
  ])('%s are of two kinds', (_what, other) => {
    expect(keyOf({ ...kind, ...other })).not.toBe(keyOf(kind));
    expect(keyOf({ ...kind })).toBe(keyOf(kind));
  });

  it('have a way out when their versions have egress, whatever it names, and then with nothing allowed', () => {
    expect(kindOfConfig({})).toMatchObject({ egress: false });
    for (const egress of ['public', ['api.example.com:443']])
      expect(kindOfConfig({ egress })).toMatchObject({ egress: true });
    expect(blankSpec(kind)).not.toHaveProperty('egress');
    expect(blankSpec({ ...kind, egress: true }).egress).toEqual(NOTHING_YET);
    expect(NOTHING_YET).toEqual({ mode: 'list', allow: [] });
  });
});
