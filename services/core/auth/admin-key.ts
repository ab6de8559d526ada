/**
 * The admin key: one line in `$WAFER_DATA/admin.key`, mode 0600, made by the first start. Whoever can read the file
 * can do everything.
 */
import { randomBytes } from 'node:crypto';
import { loadKeyFile, readKeyFile } from './key-file.ts';

const PREFIX = 'wafer_admin_';
/** What may stand in a header; 32 characters are the least that can not be guessed. */
const KEY_PATTERN = /^[\x21-\x7e]{32,256}$/;

const rules = {
  isKey: (text: string) => KEY_PATTERN.test(text),
  what: '32 to 256 visible ASCII characters on one line',
  hints: {
    noKey: 'Remove the file; the next start makes a new key.',
    unreadable: 'Use the user that runs Wafer, or put the key into WAFER_KEY.',
    exposed: (path: string) => `Remove it for a new key, or if nobody has read it: chmod 600 ${path}`,
  },
};

/** 256 random bits. The prefix lets secret scanners find a leaked one. */
const newAdminKey = () => PREFIX + randomBytes(32).toString('base64url');

/**
 * The key in `path`, made if there is none. Two processes that start together get the same one.
 * @throws WaferError `usage` when the file is open to others, not a plain file of this user, or holds no key
 */
export const loadAdminKey = (path: string): Promise<{ key: string; created: boolean }> =>
  loadKeyFile(path, { ...rules, make: newAdminKey, mode: 0o600 });

/**
 * For clients on the same machine; `null` when there is no file.
 * @throws WaferError as `loadAdminKey`
 */
export const readAdminKey = (path: string): Promise<string | null> => readKeyFile(path, rules);
