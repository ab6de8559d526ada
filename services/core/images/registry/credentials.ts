/**
 * Names and passwords for registries, in one file of mode 0600: `{ "host:port": { username, password } }`.
 * A file that others can read is refused instead of used.
 */
import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { isErrno, WaferError } from '../../errors.ts';
import { isRecord, parseJson } from '../documents.ts';
import { createMutex } from '../mutex.ts';

export interface Credential {
  username: string;
  password: string;
}

export interface Credentials {
  get(registry: string): Promise<Credential | null>;
  set(registry: string, credential: Credential): Promise<void>;
  /** False when there was none. */
  remove(registry: string): Promise<boolean>;
  registries(): Promise<string[]>;
}

const MAX_FILE_BYTES = 1024 * 1024;

const isCredential = (value: unknown): value is Credential =>
  isRecord(value) && typeof value['username'] === 'string' && typeof value['password'] === 'string';

/** @throws WaferError `usage` */
async function readFile(path: string): Promise<Map<string, Credential>> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(
    (error: unknown) => {
      if (isErrno(error, 'ENOENT')) return null;
      throw new WaferError('usage', `${path} can not be read: ${(error as Error).message}`, { cause: error });
    },
  );
  if (file === null) return new Map();
  try {
    const stat = await file.stat();
    if (!stat.isFile() || stat.size > MAX_FILE_BYTES || (stat.mode & 0o077) !== 0) {
      throw new WaferError('usage', `${path} holds passwords, but it is not a plain file of mode 0600.`, {
        hint: `Remove it and log in again, or if nobody has read it: chmod 600 ${path}`,
      });
    }
    const value = parseJson(await file.readFile());
    if (!isRecord(value) || !Object.values(value).every(isCredential)) {
      throw new WaferError('usage', `${path} is damaged.`, { hint: 'Remove it and log in again.' });
    }
    return new Map(Object.entries(value as Record<string, Credential>));
  } finally {
    await file.close();
  }
}

async function writeFile(path: string, all: Map<string, Credential>): Promise<void> {
  const temporary = `${path}.${randomUUID()}`;
  try {
    const file = await open(temporary, 'wx', 0o600);
    try {
      await file.writeFile(`${JSON.stringify(Object.fromEntries(all), null, 2)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } finally {
    await rm(temporary, { force: true });
  }
}

export function createCredentials(path: string): Credentials {
  const oneAtATime = createMutex();
  return {
    get: async (registry) => (await readFile(path)).get(registry) ?? null,
    registries: async () => [...(await readFile(path)).keys()].sort(),
    set: (registry, credential) =>
      oneAtATime(async () => writeFile(path, (await readFile(path)).set(registry, credential))),
    remove: (registry) =>
      oneAtATime(async () => {
        const all = await readFile(path);
        if (!all.delete(registry)) return false;
        await writeFile(path, all);
        return true;
      }),
  };
}
