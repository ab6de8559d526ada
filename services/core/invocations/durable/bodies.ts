/**
 * Events and results. Small ones lie in the record, large ones in files: Redis keeps what is
 * waiting in memory, and twice on disk. A file is there before the record that names it.
 */
import { hash } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno, WaferError } from '../../errors.ts';
import type { StoredBody } from './types.ts';

export interface Bodies {
  /** On disk when it resolves, whatever its size. `part` of the invocation: `event` or `result.N`. */
  put(id: string, part: string, bytes: Buffer, contentType: string): Promise<StoredBody>;
  /** @throws WaferError `digest_mismatch` when the file is not there or is another one */
  get(id: string, part: string, body: StoredBody): Promise<Buffer>;
  /** Idempotent. */
  forget(ids: readonly string[]): Promise<void>;
}

/** About what a record without it takes. */
const INLINE_BYTES = 16 * 1024;

/** Those of this machine. */
export interface LocalBodies extends Bodies {
  /** One that is in a file. @throws WaferError `invocation_not_found` */
  read(id: string, part: string): Promise<Buffer>;
  /** Ids of invocations and deliveries that have files which are older than so many ms. */
  olderThan(ms: number): AsyncIterable<string>;
}

export function openBodies(dir: string): LocalBodies {
  const folder = (id: string) => join(dir, id.slice(-2), id);
  return {
    async put(id, part, bytes, contentType) {
      const body = inlineBody(bytes, contentType);
      if (body.inline === undefined) await writeDurably(folder(id), part, bytes);
      return body;
    },
    async get(id, part, body) {
      if (body.inline !== undefined) return inlineBytes(body.inline);
      const path = join(folder(id), part);
      const bytes = await readFile(path).catch((cause: unknown) => {
        if (isErrno(cause, 'ENOENT')) return null;
        throw cause;
      });
      if (bytes !== null && digestOf(bytes) === body.digest) return bytes;
      throw new WaferError('digest_mismatch', `The ${part} of ${id} at ${path} is not what was written.`, {
        hint: 'Something else changed the data directory; the invocation can not go on.',
      });
    },
    async read(id, part) {
      const bytes = await readFile(join(folder(id), part)).catch(() => null);
      if (bytes !== null) return bytes;
      throw new WaferError('invocation_not_found', `There is no ${part} of ${id} in a file.`);
    },
    async *olderThan(ms) {
      for (const parent of await readdir(dir).catch(() => []))
        for (const id of await readdir(join(dir, parent)).catch(() => [])) {
          const found = await stat(join(dir, parent, id)).catch(() => null);
          if (found !== null && Date.now() - found.mtimeMs > ms) yield id;
        }
    },
    async forget(ids) {
      await Promise.all(ids.map((id) => rm(folder(id), { recursive: true, force: true })));
    },
  };
}

/** With its bytes when they are few. */
export function inlineBody(bytes: Buffer, contentType: string): StoredBody {
  const body = { contentType, bytes: bytes.length };
  if (bytes.length <= INLINE_BYTES) return { ...body, inline: bytes.toString('base64') };
  return { ...body, digest: digestOf(bytes) };
}

export const inlineBytes = (inline: string): Buffer => Buffer.from(inline, 'base64');

export const digestOf = (bytes: Buffer): string => hash('sha256', bytes);

/** Temporary name, fsync, rename, fsync of the directories. */
async function writeDurably(folder: string, name: string, bytes: Buffer): Promise<void> {
  const parent = join(folder, '..');
  await mkdir(parent, { recursive: true, mode: 0o700 });
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const temporary = join(folder, `${name}.new`);
  try {
    const file = await open(temporary, 'w', 0o600);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, join(folder, name));
    for (const path of [folder, parent]) await syncFolder(path);
  } catch (error) {
    await rm(temporary, { force: true });
    if ((await readdir(folder).catch(() => ['?'])).length === 0) await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
