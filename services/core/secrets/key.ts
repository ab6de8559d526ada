/** The key that secrets are encrypted with: from the environment, or `$WAFER_DATA/secrets.key`, mode 0400, made by the first start. */
import { randomBytes } from 'node:crypto';
import { loadKeyFile } from '../auth/key-file.ts';
import { WaferError } from '../errors.ts';
import { KEY_BYTES, type SecretsKey, secretsKeyOf } from './cipher.ts';

const LOST = 'For a new one remove the file; every secret has to be set again then.';
const PREFIX = 'wafer_secrets_';

/** @throws WaferError `usage` when either holds no key, or the file is open to others */
export async function loadSecretsKey(path: string, given: string | undefined): Promise<SecretsKey> {
  if (given) {
    const bytes = readKey(given.trim());
    if (bytes !== null) return secretsKeyOf(bytes);
    throw new WaferError('usage', `WAFER_SECRETS_KEY is not ${KEY_BYTES} bytes as base64 or hexadecimal.`, {
      hint: 'Make one: openssl rand -base64 32',
    });
  }
  const { key } = await loadKeyFile(path, {
    mode: 0o400,
    make: () => PREFIX + randomBytes(KEY_BYTES).toString('base64url'),
    isKey: (text) => readKey(text) !== null,
    what: `${KEY_BYTES} bytes as base64 or hexadecimal`,
    hints: {
      noKey: `Put the right one back: without it no secret can be opened. ${LOST}`,
      unreadable: 'Start Wafer as the user that the file belongs to, or give the key in WAFER_SECRETS_KEY.',
      exposed: (file) => `If nobody has read it: chmod 400 ${file}. ${LOST}`,
    },
  });
  const bytes = readKey(key);
  if (bytes === null) throw new WaferError('internal', `${path} changed while it was read.`);
  return secretsKeyOf(bytes);
}

function readKey(text: string): Buffer | null {
  const body = text.startsWith(PREFIX) ? text.slice(PREFIX.length) : text;
  if (/^[0-9a-f]{64}$/i.test(body)) return Buffer.from(body, 'hex');
  if (!/^[A-Za-z0-9+/_-]{43}=?$/.test(body)) return null;
  return Buffer.from(body, 'base64url'); // takes both alphabets
}
