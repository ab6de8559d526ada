/**
 * `<dir>/<name>.json`: one file is one volume's state, and replacing it is the one atomic step of
 * a commit. Each is written whole or not at all, and is on the disk when `write` resolves.
 */
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createTempFiles, syncDir } from '../images/durable.ts';
import { parseVolumeRecord, type VolumeRecord } from './record.ts';

export interface VolumeRecords {
  readonly found: readonly VolumeRecord[];
  /** Files that can not be read: while there is one, no content may be taken for garbage. */
  readonly damaged: readonly string[];
  /** @throws WaferError `disk_full` */
  write(record: VolumeRecord): Promise<void>;
  remove(name: string): Promise<void>;
}

const ENDING = '.json';
const TEMP = 'tmp';

export async function openVolumeRecords(dir: string): Promise<VolumeRecords> {
  await mkdir(join(dir, TEMP), { recursive: true, mode: 0o700 });
  const temp = createTempFiles(join(dir, TEMP));
  await temp.clean();
  const found: VolumeRecord[] = [];
  const damaged: string[] = [];
  for (const file of (await readdir(dir)).filter((one) => one.endsWith(ENDING))) {
    const name = file.slice(0, -ENDING.length);
    const record = parseVolumeRecord(await readFile(join(dir, file), 'utf8'), name);
    if (record === undefined) damaged.push(join(dir, file));
    else found.push(record);
  }
  return {
    found,
    damaged,
    write: (record) => temp.writeWhole(join(dir, `${record.name}${ENDING}`), JSON.stringify(record)),
    async remove(name) {
      await rm(join(dir, `${name}${ENDING}`), { force: true });
      await syncDir(dir);
    },
  };
}
