/**
 * Uploads on disk: `<id>` holds the bytes, `<id>.json` says whose they are. Both outlive a
 * restart, so a client that asks where its upload stands can go on.
 */
import { randomUUID } from 'node:crypto';
import { type FileHandle, open, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isRecord, parseJson } from '../documents.ts';
import { asDiskFull, removeFile } from '../durable.ts';
import { isRepository } from './names.ts';

export interface FoundUpload {
  id: string;
  repository: string;
  size: number;
  /** When its last bytes came, epoch ms. */
  touchedAt: number;
}

export interface UploadFiles {
  path(id: string): string;
  create(repository: string): Promise<string>;
  open(id: string): Promise<FileHandle>;
  remove(id: string): Promise<void>;
  /** What is there from before; half-made ones are removed. */
  find(): Promise<FoundUpload[]>;
}

const ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export const isUploadId = (text: string) => ID.test(text);

export function createUploadFiles(dir: string): UploadFiles {
  const path = (id: string) => join(dir, id);
  const note = (id: string) => `${path(id)}.json`;

  const remove = async (id: string) => {
    await removeFile(path(id));
    await removeFile(note(id));
  };

  const read = async (id: string): Promise<FoundUpload | null> => {
    try {
      const value = parseJson(await readFile(note(id)));
      const { size, mtimeMs } = await stat(path(id));
      if (!isRecord(value) || typeof value['repository'] !== 'string' || !isRepository(value['repository']))
        return null;
      return { id, repository: value['repository'], size, touchedAt: mtimeMs };
    } catch {
      return null; // One of the two is missing: the crash came between them.
    }
  };

  return {
    path,
    open: (id) => open(path(id), 'r+'),
    remove,
    async create(repository) {
      const id = randomUUID();
      try {
        await writeFile(path(id), '', { flag: 'wx', mode: 0o600 });
        await writeFile(note(id), JSON.stringify({ repository }), { flag: 'wx', mode: 0o600 });
        return id;
      } catch (error) {
        await remove(id);
        throw asDiskFull(error, dir);
      }
    },
    async find() {
      const ids = new Set((await readdir(dir)).map((name) => name.replace(/\.json$/, '')));
      const found: FoundUpload[] = [];
      for (const id of [...ids].filter(isUploadId)) {
        const upload = await read(id);
        if (upload === null) await remove(id);
        else found.push(upload);
      }
      return found;
    },
  };
}
