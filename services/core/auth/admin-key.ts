/**
 * The admin key: one line in `$WAFER_DATA/admin.key`, mode 0600, made by the
 * first start. Whoever can read the file can do everything, so a file that
 * others can read, or that is not ours, is refused instead of used.
 */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, link, mkdir, open, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isErrno, WaferError } from '../errors.ts';

const PREFIX = 'wafer_admin_';
/** What may stand in a header; 32 characters are the least that can not be guessed. */
const KEY_PATTERN = /^[\x21-\x7e]{32,256}$/;
const MAX_FILE_BYTES = 1024;

/** 256 random bits. The prefix lets secret scanners find a leaked one. */
const newAdminKey = () => PREFIX + randomBytes(32).toString('base64url');

/**
 * The key in `path`, made if there is none. Two processes that start together get the same one.
 * @throws WaferError `usage` when the file is open to others, not a plain file of this user, or holds no key
 */
export async function loadAdminKey(path: string): Promise<{ key: string; created: boolean }> {
  const found = await readAdminKey(path);
  if (found !== null) return { key: found, created: false };
  const created = await createKeyFile(path, newAdminKey());
  const key = await readAdminKey(path);
  if (key === null) throw new WaferError('internal', `${path} vanished while it was made.`);
  return { key, created };
}

/**
 * For clients on the same machine; `null` when there is no file.
 * @throws WaferError as `loadAdminKey`
 */
export async function readAdminKey(path: string): Promise<string | null> {
  const file = await openKeyFile(path);
  if (file === null) return null;
  try {
    await checkOwner(file, path);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_FILE_BYTES), 0, MAX_FILE_BYTES, 0);
    const key = buffer.toString('utf8', 0, bytesRead).trimEnd();
    if (KEY_PATTERN.test(key)) return key;
    throw new WaferError('usage', `${path} does not hold a key: 32 to 256 visible ASCII characters on one line.`, {
      hint: 'Remove the file; the next start makes a new key.',
    });
  } finally {
    await file.close();
  }
}

async function openKeyFile(path: string): Promise<FileHandle | null> {
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
        hint: 'Use the user that runs Wafer, or put the key into WAFER_KEY.',
      });
    }
    throw cause;
  }
}

/** On the open file, so that what is checked is what is read. Root may read its users' key files. */
async function checkOwner(file: FileHandle, path: string): Promise<void> {
  const stat = await file.stat();
  if (!stat.isFile()) throw new WaferError('usage', `${path} is not a plain file.`);
  const uid = process.getuid?.() ?? stat.uid;
  if (stat.uid !== uid && uid !== 0) {
    throw new WaferError('usage', `${path} belongs to user id ${stat.uid}, not to this user (${uid}).`);
  }
  const mode = stat.mode & 0o777;
  if ((mode & 0o077) === 0) return;
  throw new WaferError('usage', `${path} has mode 0${mode.toString(8)}: other users of this machine may use the key.`, {
    hint: `Remove it for a new key, or if nobody has read it: chmod 600 ${path}`,
  });
}

/** `link` never replaces a file: of several processes one wins, and a crash leaves a whole file or none. */
async function createKeyFile(path: string, key: string): Promise<boolean> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = `${path}.${process.pid}.${randomBytes(6).toString('hex')}`;
  try {
    await writeSynced(temporary, `${key}\n`);
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

async function writeSynced(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx', 0o600);
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
