/** What volumes have on the disk: read from records, and measured where it changes, seldom. */
import { expect, it } from 'vitest';
import type { VolumeLayer, VolumeRecord } from '../../../services/core/volumes/record.ts';
import { createFootprint } from '../../../services/worker/volumes/footprint.ts';
import { until } from '../../helpers/until.ts';

const layer = (id: string, bytes = 0): VolumeLayer => ({ id, bytes, entries: bytes / 10 });
const record = (name: string, parts: Partial<VolumeRecord>): VolumeRecord => ({
  name,
  createdAt: 0,
  transactions: null,
  maxBytes: null,
  maxEntries: null,
  revision: 1,
  layers: [],
  snapshots: [],
  committed: [],
  ...parts,
});

function disk(records: VolumeRecord[], sizes: Record<string, number>) {
  const clock = { ms: 0 };
  const measured: string[] = [];
  const held = new Set<string>();
  const shelf = {
    all: () => records,
    hold: (layers: readonly VolumeLayer[]) => {
      for (const { id } of layers) held.add(id);
      return () => layers.forEach(({ id }) => void held.delete(id));
    },
  };
  const host = {
    async measureVolume(id: string) {
      expect(held.has(id)).toBe(true);
      measured.push(id);
      const bytes = sizes[id];
      if (bytes === undefined) throw new Error('the engine is away');
      return { bytes, entries: bytes / 10 };
    },
  };
  return { footprint: createFootprint({ host, shelf }, () => clock.ms), clock, measured, held };
}

it('of volumes with transactions is the sum of their layers, each once, without measuring', () => {
  const shared = layer('_shared00', 100);
  const records = [
    record('a', {
      transactions: 'exclusive',
      layers: [shared, layer('_second00', 50)],
      snapshots: [{ name: 's', createdAt: 0, layers: [shared] }],
    }),
  ];
  const { footprint, measured } = disk(records, {});
  expect(footprint.read()).toEqual({ bytes: 150, entries: 15 });
  expect(measured).toEqual([]);
});

it('of others is measured behind the reader, again when it is a minute old, and a new one at once', async () => {
  const records = [record('a', { layers: [layer('_aaaaaaaa')] })];
  const sizes: Record<string, number> = { _aaaaaaaa: 30, _bbbbbbbb: 20 };
  const { footprint, clock, measured, held } = disk(records, sizes);
  expect(footprint.read()).toBeNull();
  await until('it is measured', () => footprint.read());
  expect(footprint.read()).toEqual({ bytes: 30, entries: 3 });
  records.push(record('b', { layers: [layer('_bbbbbbbb')] }));
  expect(footprint.read()).toBeNull();
  await until('the new one is measured', () => footprint.read());
  expect(measured).toEqual(['_aaaaaaaa', '_bbbbbbbb']);
  sizes['_aaaaaaaa'] = 80;
  clock.ms = 60_000;
  expect(footprint.read()?.bytes).toBe(50);
  await until('both are measured again', () => footprint.read()?.bytes === 100);
  expect(held.size).toBe(0);
  await footprint.close();
});

it('of all but one volume has what somebody measured of the others, whoever it was', () => {
  const [mine, theirs] = [record('a', { layers: [layer('_aaaaaaaa')] }), record('b', { layers: [layer('_bbbbbbbb')] })];
  const kept = layer('_kept0000', 70);
  const { footprint } = disk([{ ...mine, snapshots: [{ name: 's', createdAt: 0, layers: [kept] }] }, theirs], {});
  footprint.note('_aaaaaaaa', { bytes: 30, entries: 3 });
  expect(footprint.othersOf(mine)).toBe(70);
  footprint.note('_bbbbbbbb', { bytes: 20, entries: 2 });
  expect(footprint.othersOf(mine)).toBe(90);
  expect(footprint.othersOf(theirs)).toBe(100);
});

it('is unknown while one can not be measured, and no directory is walked all the time', async () => {
  const { footprint, clock, measured, held } = disk([record('a', { layers: [layer('_gone0000')] })], {});
  footprint.read();
  await until('it was tried', () => measured.length === 1 && held.size === 0);
  expect(footprint.read()).toBeNull();
  clock.ms = 59_999;
  expect(footprint.read()).toBeNull();
  await footprint.close();
  expect(measured).toHaveLength(1);
});
