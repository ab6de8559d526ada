/** `<dir>/<id>/container.json`, each written whole or not at all. One process at a time: the data directory's lock sees to that. */
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno } from '../errors.ts';
import { asDiskFull, createTempFiles, syncDir } from '../images/durable.ts';
import { createKeyedMutex } from '../images/mutex.ts';
import { type ContainerRecord, isContainerId, parseRecord } from './record.ts';

export interface ContainerRecords {
  /** What was read at the start; a damaged record is told to `onDamaged` and its files stay as they are. */
  readonly found: readonly ContainerRecord[];
  /** Directories without a record that can be read: their ids. What they hold is not to be taken. */
  readonly damaged: readonly string[];
  /** In the order of the calls. @throws WaferError `disk_full` */
  write(record: ContainerRecord): Promise<void>;
  /** With its log. Idempotent. */
  remove(id: string): Promise<void>;
  dirOf(id: string): string;
}

const RECORD = 'container.json';
const TEMP = 'tmp';

export async function openContainerRecords(
  dir: string,
  onDamaged: (id: string, why: string) => void,
): Promise<ContainerRecords> {
  await mkdir(join(dir, TEMP), { recursive: true, mode: 0o700 });
  const temp = createTempFiles(join(dir, TEMP));
  await temp.clean();
  const found: ContainerRecord[] = [];
  const damaged: string[] = [];
  for (const id of (await readdir(dir)).filter(isContainerId)) {
    const record = await readRecord(join(dir, id), id);
    if (typeof record === 'object') found.push(record);
    else if (record === 'absent') await rm(join(dir, id), { recursive: true, force: true });
    else {
      damaged.push(id);
      onDamaged(id, record);
    }
  }
  const oneAtATime = createKeyedMutex();
  return {
    found,
    damaged,
    dirOf: (id) => join(dir, id),
    write: (record) => {
      const text = JSON.stringify(record);
      return oneAtATime(record.id, async () => {
        await makeDir(dir, record.id);
        await temp.writeWhole(join(dir, record.id, RECORD), text);
      });
    },
    // The record first: what is left of a crash in between has no record, and goes at the next start.
    remove: (id) =>
      oneAtATime(id, async () => {
        await rm(join(dir, id, RECORD), { force: true });
        await rm(join(dir, id), { recursive: true, force: true });
        await syncDir(dir);
      }),
  };
}

async function makeDir(dir: string, id: string): Promise<void> {
  try {
    const made = await mkdir(join(dir, id), { recursive: true, mode: 0o700 });
    if (made !== undefined) await syncDir(dir);
  } catch (error) {
    throw asDiskFull(error, dir);
  }
}

/** A directory without a record is what a crash left of a creation or a removal. */
async function readRecord(dir: string, id: string): Promise<ContainerRecord | 'absent' | string> {
  try {
    const record = parseRecord(await readFile(join(dir, RECORD), 'utf8'), id);
    return record ?? `${join(dir, RECORD)} is not a record of this container`;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return 'absent';
    return `${join(dir, RECORD)} can not be read: ${(error as Error).message}`;
  }
}
