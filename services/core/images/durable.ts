/**
 * Files that survive a crash: written under a temporary name, fsynced, renamed, and the
 * directory fsynced. A reader sees the old content or the new one, never a part.
 */
import { randomUUID } from 'node:crypto';
import { type FileHandle, open, readdir, rename, rm, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isErrno, WaferError } from '../errors.ts';

/** A full disk gets its own code; everything else stays what it is. */
export function asDiskFull(error: unknown, dir: string): unknown {
  if (!isErrno(error, 'ENOSPC', 'EDQUOT')) return error;
  return new WaferError('disk_full', `No space is left in ${dir}.`, {
    cause: error,
    hint: 'Free some space, or remove functions that are not needed; then try again.',
  });
}

export async function syncDir(dir: string): Promise<void> {
  const handle = await open(dir, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export async function removeFile(path: string): Promise<void> {
  await unlink(path).catch((error: unknown) => {
    if (!isErrno(error, 'ENOENT')) throw error;
  });
}

export interface TempFiles {
  /**
   * Runs `write` with a new file (0600) that is gone afterwards unless `commit` moved it to its
   * place. `commit` fsyncs the file and both directories it touches.
   */
  use<T>(write: (file: FileHandle, commit: (path: string) => Promise<void>) => Promise<T>): Promise<T>;
  /** The whole content at `path`, atomically. @throws WaferError `disk_full` */
  writeWhole(path: string, content: string | Buffer): Promise<void>;
  /** Removes what nobody is writing: left over from a crash. */
  clean(): Promise<void>;
}

export function createTempFiles(dir: string): TempFiles {
  const active = new Set<string>();

  const use: TempFiles['use'] = async (write) => {
    const name = randomUUID();
    const temp = join(dir, name);
    active.add(name);
    try {
      const file = await open(temp, 'wx+', 0o600);
      let isMoved = false;
      try {
        return await write(file, async (path) => {
          await file.sync();
          await rename(temp, path);
          isMoved = true;
          await syncDir(dirname(path));
        });
      } finally {
        await file.close();
        if (!isMoved) await removeFile(temp);
      }
    } catch (error) {
      throw asDiskFull(error, dir);
    } finally {
      active.delete(name);
    }
  };

  return {
    use,
    writeWhole: (path, content) =>
      use(async (file, commit) => {
        await file.writeFile(content);
        await commit(path);
      }),
    async clean() {
      for (const name of await readdir(dir)) {
        if (!active.has(name)) await rm(join(dir, name), { recursive: true, force: true });
      }
    },
  };
}
