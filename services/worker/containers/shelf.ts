/** All containers that there are, by id and name; what is on disk follows what is here. */
import type { ContainerLog } from '../../core/containers/log.ts';
import { openContainerLog } from '../../core/containers/log.ts';
import { checkContainerName, containerNotFound, findContainer, newContainerName } from '../../core/containers/names.ts';
import type { ContainerRecord } from '../../core/containers/record.ts';
import type { ContainerRecords } from '../../core/containers/records.ts';
import { type ContainerEvent, stateAfter } from '../../core/containers/state.ts';
import { WaferError } from '../../core/errors.ts';
import { createMutex } from '../../core/images/mutex.ts';
import type { ImageStore } from '../../core/images/types.ts';
import type { Log } from '../../core/log.ts';
import { createAudience } from './audience.ts';
import type { Entry } from './entry.ts';

export interface Shelf {
  all(): Entry[];
  /** @throws WaferError `container_not_found | conflict` */
  find(ref: string): Entry;
  /** The container alone, in its state of that moment. @throws WaferError `container_not_found` when it went meanwhile */
  alone<T>(ref: string, work: (entry: Entry) => Promise<T>): Promise<T>;
  /** Takes the name at once. @throws WaferError `conflict | invalid_name` */
  reserve(name: string | undefined): { name: string; release(): void };
  /** A name that nobody has any more. */
  free(name: string): void;
  add(record: ContainerRecord): Promise<Entry>;
  drop(entry: Entry): Promise<void>;
  /** Here at once, and on disk when it resolves. */
  save(entry: Entry, change: (record: ContainerRecord) => ContainerRecord): Promise<void>;
  step(entry: Entry, event: ContainerEvent, more?: Partial<ContainerRecord>): Promise<void>;
}

export interface ShelfDeps {
  records: ContainerRecords;
  images: Pick<ImageStore, 'lease'>;
  log: Log;
}

export function createShelf({ records, images, log }: ShelfDeps): Shelf {
  const entries = new Map<string, Entry>();
  /** Taken, by containers or by what is being made. */
  const names = new Set<string>();

  const openLog = (id: string, name: string): Promise<ContainerLog> =>
    openContainerLog({
      dir: records.dirOf(id),
      onProblem: (err) => log.error({ err, container: name }, 'output of a container can not be kept'),
    });
  const find = (ref: string) => findContainer(entries.values(), ({ record }) => record, ref);
  const save: Shelf['save'] = async (entry, change) => {
    entry.record = change(entry.record);
    if (!entry.isRemoved) await records.write(entry.record);
  };
  return {
    all: () => [...entries.values()],
    find,
    alone(ref, work) {
      const entry = find(ref);
      return entry.exclusive(async () => {
        if (entry.isRemoved) throw containerNotFound(ref);
        return work(entry);
      });
    },
    reserve(wanted) {
      const isTaken = (name: string) => names.has(name) || entries.has(name);
      const name = wanted === undefined ? newContainerName(isTaken) : checkContainerName(wanted);
      if (isTaken(name))
        throw new WaferError('conflict', `There is a container ${JSON.stringify(name)} already.`, {
          hint: 'Choose another name, or remove that one.',
        });
      names.add(name);
      return { name, release: () => void names.delete(name) };
    },
    free: (name) => void names.delete(name),
    async add(record) {
      const entry: Entry = {
        record,
        run: null,
        log: await openLog(record.id, record.name),
        audience: createAudience(),
        exclusive: createMutex(),
        lease: images.lease([record.imageDigest]),
        restartTimer: undefined,
        failuresInARow: 0,
        isRemoved: false,
        onStill: new Set(),
      };
      entries.set(record.id, entry);
      names.add(record.name);
      return entry;
    },
    async drop(entry) {
      entry.isRemoved = true;
      entries.delete(entry.record.id);
      names.delete(entry.record.name);
      await entry.log.end();
      await records.remove(entry.record.id);
      entry.lease.release();
    },
    save,
    step: (entry, event, more = {}) => save(entry, (record) => ({ ...stateAfter(record, event), ...more })),
  };
}
