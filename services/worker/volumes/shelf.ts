/**
 * The records of all volumes and the directories they are made of. A record changes in one atomic
 * step; a directory is removed when no record has it and nobody holds it.
 */
import type { VolumeHost } from '../../../runtime/sandbox/index.ts';
import { WaferError } from '../../core/errors.ts';
import { createKeyedMutex } from '../../core/images/mutex.ts';
import type { Log } from '../../core/log.ts';
import { parseVolumeRef } from '../../core/volumes/names.ts';
import { layersOf, type VolumeLayer, type VolumeRecord } from '../../core/volumes/record.ts';
import type { VolumeRecords } from '../../core/volumes/records.ts';

export interface VolumeShelf {
  all(): VolumeRecord[];
  /** @throws WaferError `volume_not_found` */
  get(name: string): VolumeRecord;
  /** The state that a reference means now. @throws WaferError `volume_not_found` */
  resolve(ref: string): { record: VolumeRecord; layers: VolumeLayer[] };
  /** @throws WaferError `conflict` */
  add(record: VolumeRecord): Promise<void>;
  /** One change at a time for each volume; what `make` returns is on the disk when it resolves. @throws WaferError `volume_not_found` */
  change(name: string, make: (record: VolumeRecord) => VolumeRecord | Promise<VolumeRecord>): Promise<VolumeRecord>;
  remove(name: string, assertFree: () => void): Promise<void>;
  /** Until the function that it gives is called, once, they are there. */
  hold(layers: readonly VolumeLayer[]): () => void;
  /** Directories that no record came to have. Never rejects. */
  drop(...ids: string[]): Promise<void>;
  /** Resolves when what is being removed is gone. */
  settled(): Promise<void>;
}

export function createVolumeShelf({
  host,
  records,
  log,
}: {
  host: Pick<VolumeHost, 'removeVolume'>;
  records: VolumeRecords;
  log: Log;
}): VolumeShelf {
  const known = new Map(records.found.map((record) => [record.name, record]));
  const held = createHolds((ids) => void sweep(ids));
  const inTurn = createKeyedMutex();
  const removals = new Set<Promise<void>>();

  const get = (name: string): VolumeRecord => {
    const record = known.get(name);
    if (record !== undefined) return record;
    throw new WaferError('volume_not_found', `There is no volume ${name}.`, {
      hint: `Make it: wafer volume create ${name}`,
    });
  };
  const remove = (id: string): Promise<void> => {
    const removal: Promise<void> = host
      .removeVolume(id)
      .catch((err: unknown) => log.warn({ err, content: id }, 'content of a volume could not be removed'))
      .finally(() => void removals.delete(removal));
    removals.add(removal);
    return removal;
  };
  const sweep = async (ids: readonly string[]): Promise<void> => {
    const used = new Set([...known.values()].flatMap(layersOf));
    await Promise.all(ids.filter((id) => !used.has(id) && !held.has(id)).map(remove));
  };
  return {
    all: () => [...known.values()].sort((a, b) => (a.name < b.name ? -1 : 1)),
    get,
    resolve(ref) {
      const { name, snapshot } = parseVolumeRef(ref);
      const record = get(name);
      if (snapshot === null) return { record, layers: record.layers };
      const found = record.snapshots.find((one) => one.name === snapshot);
      if (found !== undefined) return { record, layers: found.layers };
      throw new WaferError('volume_not_found', `The volume ${name} has no snapshot ${snapshot}.`, {
        hint: `Make it: wafer volume snapshot ${name} ${snapshot}`,
      });
    },
    add: (record) =>
      inTurn(record.name, async () => {
        if (known.has(record.name)) throw new WaferError('conflict', `There is a volume ${record.name} already.`);
        await records.write(record);
        known.set(record.name, record);
      }),
    change: (name, make) =>
      inTurn(name, async () => {
        const before = get(name);
        const after = await make(before);
        if (after === before) return before;
        await records.write(after);
        known.set(name, after);
        void sweep(layersOf(before));
        return after;
      }),
    remove: (name, assertFree) =>
      inTurn(name, async () => {
        const before = get(name);
        assertFree();
        await records.remove(name);
        known.delete(name);
        await sweep(layersOf(before));
      }),
    hold: (layers) => held.hold(layers.map(({ id }) => id)),
    drop: (...ids) => sweep(ids),
    async settled() {
      while (removals.size > 0) await Promise.all(removals);
    },
  };
}

/** Who looks at what; `onReleased` may find it held by others. */
function createHolds(onReleased: (ids: readonly string[]) => void) {
  const counts = new Map<string, number>();
  return {
    has: (id: string) => counts.has(id),
    hold(ids: readonly string[]): () => void {
      for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1);
      return () => {
        for (const id of ids) {
          const left = (counts.get(id) ?? 1) - 1;
          if (left > 0) counts.set(id, left);
          else counts.delete(id);
        }
        onReleased(ids);
      };
    },
  };
}
