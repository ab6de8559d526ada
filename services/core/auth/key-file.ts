/**
 * A file with one line that is a key, made when it is missing. Whoever can read it can use the key, so a file that
 * others can read, or that is not ours, is refused instead of used.
 */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, link, mkdir, open, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isErrno, WaferError } from '../errors.ts';

export interface KeyFileRules {
  isKey: (text: string) => boolean;
  /** What a key is, for messages. */
  what: string;
  /** What to do about a file that holds none, that this user may not read, and that others may read. */
  hints: { noKey: string; unreadable: string; exposed: (path: string) => string };
}

const MAX_FILE_BYTES = 1024;

/**
 * The key in `path`, made if there is none. Two processes that start together get the same one.
 * @throws WaferError `usage` when the file is open to others, not a plain file of this user, or holds no key
 */
export async function loadKeyFile(
  path: string,
  rules: KeyFileRules & { make: () => string; mode: number },
): Promise<{ key: string; created: boolean }> {
  const found = await readKeyFile(path, rules);
  if (found !== null) return { key: found, created: false };
  const created = await createKeyFile(path, rules.make(), rules.mode);
  const key = await readKeyFile(path, rules);
  if (key === null) throw new WaferError('internal', `${path} vanished while it was made.`);
  return { key, created };
}

/** `null` when there is no file. @throws WaferError as `loadKeyFile` */
export async function readKeyFile(path: string, { isKey, what, hints }: KeyFileRules): Promise<string | null> {
  const file = await openKeyFile(path, hints);
  if (file === null) return null;
  try {
    await checkOwner(file, path, hints);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_FILE_BYTES), 0, MAX_FILE_BYTES, 0);
    const key = buffer.toString('utf8', 0, bytesRead).trimEnd();
    if (isKey(key)) return key;
    throw new WaferError('usage', `${path} does not hold a key: ${what}.`, { hint: hints.noKey });
  } finally {
    await file.close();
  }
}

async function openKeyFile(path: string, { unreadable }: KeyFileRules['hints']): Promise<FileHandle | null> {
  try {
    // NONBLOCK: a FIFO in this place must not hang the start.
    return await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (cause) {
    if (isErrno(cause, 'ENOENT')) return null;
    if (isErrno(cause, 'ELOOP'))
      throw new WaferError('usage', `${path} is a symbolic link, not a key file.`, { cause });
    if (isErrno(cause, 'EACCES', 'EPERM')) {
      throw new WaferError('usage', `${path} can not be read by this user.`, {
        cause,
        hint: unreadable,
      });
    }
    throw cause;
  }
}

/** On the open file, so that what is checked is what is read. Root may read its users' key files. */
async function checkOwner(file: FileHandle, path: string, { exposed }: KeyFileRules['hints']): Promise<void> {
  const stat = await file.stat();
  if (!stat.isFile()) throw new WaferError('usage', `${path} is not a plain file.`);
  const uid = process.getuid?.() ?? stat.uid;
  if (stat.uid !== uid && uid !== 0) {
    throw new WaferError('usage', `${path} belongs to user id ${stat.uid}, not to this user (${uid}).`);
  }
  const mode = stat.mode & 0o777;
  if ((mode & 0o077) === 0) return;
  throw new WaferError('usage', `${path} has mode 0${mode.toString(8)}: other users of this machine may use the key.`, {
    hint: exposed(path),
  });
}

/** `link` never replaces a file: of several processes one wins, and a crash leaves a whole file or none. */
async function createKeyFile(path: string, key: string, mode: number): Promise<boolean> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = `${path}.${process.pid}.${randomBytes(6).toString('hex')}`;
  try {
    await writeSynced(temporary, `${key}\n`, mode);
    await link(temporary, path);
    await syncDirectory(dirname(path));
    return true;
  } catch (error) {
    if (isErrno(error, 'EEXIST')) return false;
    throw error;
  } finally {
    await unlink(temporary).catch((error: unknown) => {
      if (!isErrno(error, 'ENOENT')) throw error;
    });
  }
}

async function writeSynced(path: string, text: string, mode: number): Promise<void> {
  const file = await open(path, 'wx', mode);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
