/**
 * Values at rest: AES-256-GCM, a fresh nonce each. Name and version are authenticated with the value, so that a
 * record that was moved to another name does not open.
 */
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import { WaferError } from '../errors.ts';

export interface SecretsKey {
  /** 32. */
  bytes: Buffer;
  /** Tells keys apart and says nothing about them. */
  id: string;
}

export interface SecretPlace {
  namespace: string;
  name: string;
  version: number;
}

const ALGORITHM = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
export const KEY_BYTES = 32;

export const secretsKeyOf = (bytes: Buffer): SecretsKey => ({
  bytes,
  id: createHash('sha256').update('wafer secrets key\0').update(bytes).digest('base64url').slice(0, 12),
});

/** `v1.KEY.NONCE TAG CIPHERTEXT`, all in base64url. */
export function seal({ bytes, id }: SecretsKey, place: SecretPlace, value: Buffer): string {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(ALGORITHM, bytes, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(placeText(place));
  const sealed = Buffer.concat([cipher.update(value), cipher.final()]);
  return `v1.${id}.${Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString('base64url')}`;
}

/** @throws WaferError `secrets_locked` */
export function unseal({ bytes, id }: SecretsKey, place: SecretPlace, text: string): Buffer {
  const [format, sealedWith, body] = text.split('.');
  if (format !== 'v1' || body === undefined) throw locked(place, 'it is not in a form that this Wafer knows');
  if (sealedWith !== id) throw locked(place, 'it was encrypted with another key');
  const all = Buffer.from(body, 'base64url');
  if (all.length < NONCE_BYTES + TAG_BYTES) throw locked(place, 'it is damaged');
  const decipher = createDecipheriv(ALGORITHM, bytes, all.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAAD(placeText(place));
  decipher.setAuthTag(all.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
  try {
    return Buffer.concat([decipher.update(all.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()]);
  } catch (cause) {
    throw locked(place, 'it is damaged, or not the value of this secret', cause);
  }
}

/** NUL is in no name. */
const placeText = ({ namespace, name, version }: SecretPlace) =>
  Buffer.from(`wafer secret\0${namespace}\0${name}\0${version}`);

const locked = ({ name, version }: SecretPlace, why: string, cause?: unknown) =>
  new WaferError('secrets_locked', `Version ${version} of the secret ${name} can not be opened: ${why}.`, {
    cause,
    hint: 'Start with the secrets.key or WAFER_SECRETS_KEY that it was set with, or set it again: wafer secret set.',
  });
