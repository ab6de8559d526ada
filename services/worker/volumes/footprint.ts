/**
 * What all volumes have on the disk. The sizes of layers that do not change are in the records; a directory that is
 * written to as it is has to be walked, so it is done one at a time, behind the reader's back and seldom.
 */
import type { VolumeHost } from '../../../runtime/sandbox/index.ts';
import type { VolumeLayer, VolumeRecord } from '../../core/volumes/record.ts';
import type { VolumeUsage } from '../../core/volumes/types.ts';
import { sumOf } from './limits.ts';
import type { VolumeShelf } from './shelf.ts';

export interface Footprint {
  /** As last measured; null while a volume has not been. Begins to measure what is old. */
  read(): VolumeUsage | null;
  /** Bytes of all but the state of this volume; what was not measured yet is not in it. */
  othersOf(record: VolumeRecord): number;
  /** Somebody measured this directory now. */
  note(id: string, usage: VolumeUsage): void;
  /** Resolves when nothing is being measured; nothing is any more. */
  close(): Promise<void>;
}

/** A directory is walked this often at most, and for a twentieth of the time at most. */
const AGE_MS = 60_000;
const REST = 20;

/** `now`: monotonic milliseconds. */
export function createFootprint(
  { host, shelf }: { host: Pick<VolumeHost, 'measureVolume'>; shelf: Pick<VolumeShelf, 'all' | 'hold'> },
  now: () => number,
): Footprint {
  const measured = new Map<string, { usage: VolumeUsage | null; dueAt: number }>();
  let running: Promise<void> | null = null;
  let isClosed = false;

  const measure = async ({ id }: VolumeLayer): Promise<void> => {
    const begunAt = now();
    // What the engine can not measure now is tried again when it would be due.
    const usage = await host.measureVolume(id).catch(() => null);
    measured.set(id, { usage, dueAt: now() + Math.max(AGE_MS, REST * (now() - begunAt)) });
  };
  const sizeOf = (id: string) => measured.get(id)?.usage ?? null;
  const measureAll = async (layers: readonly VolumeLayer[], release: () => void): Promise<void> => {
    for (const layer of layers) if (!isClosed) await measure(layer);
    release();
    running = null;
  };
  const refresh = (layers: readonly VolumeLayer[]): void => {
    const due = layers.filter(({ id }) => (measured.get(id)?.dueAt ?? 0) <= now());
    if (due.length > 0 && running === null && !isClosed) running = measureAll(due, shelf.hold(due));
  };
  /** Each layer once: snapshots have some in common with states. */
  const look = () => {
    const records = shelf.all();
    const changing = records.filter(({ transactions }) => transactions === null).flatMap(({ layers }) => layers);
    const ids = new Set(changing.map(({ id }) => id));
    for (const id of measured.keys()) if (!ids.has(id)) measured.delete(id);
    refresh(changing);
    const all = records.flatMap((record) => [...record.layers, ...record.snapshots.flatMap(({ layers }) => layers)]);
    const sizes = new Map<string, VolumeUsage | null>(all.map((layer) => [layer.id, layer]));
    for (const id of ids) sizes.set(id, sizeOf(id));
    return sizes;
  };
  return {
    read() {
      const sizes = [...look().values()];
      return sizes.includes(null) ? null : sumOf(sizes.flatMap((usage) => usage ?? []));
    },
    othersOf({ layers }) {
      const sizes = look();
      for (const { id } of layers) sizes.delete(id);
      return sumOf([...sizes.values()].flatMap((usage) => usage ?? [])).bytes;
    },
    note: (id, usage) => void measured.set(id, { usage, dueAt: now() + AGE_MS }),
    async close() {
      isClosed = true;
      await running;
    },
  };
}
