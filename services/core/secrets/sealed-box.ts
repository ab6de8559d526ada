/**
 * Bytes for one receiver: X25519 with a fresh key on either side, HKDF-SHA256, AES-256-GCM. What lies on the way
 * between (proxies, their logs) sees nothing, also where the API is spoken to without TLS.
 */
import {
  createCipheriv,
  createDecipheriv,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
} from 'node:crypto';
import { WaferError } from '../errors.ts';

export interface SealedBox {
  /** base64url, 32 bytes. */
  publicKey: string;
  /** base64url: tag and ciphertext. */
  box: string;
}

const ALGORITHM = 'aes-256-gcm';
const TAG_BYTES = 16;
const KEY_BYTES = 32;
/** Each key seals one box. */
const NONCE = Buffer.alloc(12);

export const isPublicKey = (text: string): boolean => Buffer.from(text, 'base64url').length === KEY_BYTES;

/** For one answer. */
export function openReceiver(): { publicKey: string; open: (sealed: SealedBox) => Buffer } {
  const { privateKey, publicKey } = generateKeyPairSync('x25519');
  const own = textOf(publicKey);
  return {
    publicKey: own,
    open({ publicKey: theirs, box }) {
      const bytes = Buffer.from(box, 'base64url');
      const decipher = createDecipheriv(ALGORITHM, sharedKey(privateKey, theirs, `${theirs}.${own}`), NONCE, {
        authTagLength: TAG_BYTES,
      });
      decipher.setAuthTag(bytes.subarray(0, TAG_BYTES));
      try {
        return Buffer.concat([decipher.update(bytes.subarray(TAG_BYTES)), decipher.final()]);
      } catch (cause) {
        throw new WaferError('not_reachable', 'What the platform sealed for this worker can not be opened.', { cause });
      }
    },
  };
}

/** @throws WaferError `invalid_request` when it is no key */
export function sealFor(receiver: string, value: Buffer): SealedBox {
  const { privateKey, publicKey } = generateKeyPairSync('x25519');
  const own = textOf(publicKey);
  const cipher = createCipheriv(ALGORITHM, sharedKey(privateKey, receiver, `${own}.${receiver}`), NONCE, {
    authTagLength: TAG_BYTES,
  });
  const sealed = Buffer.concat([cipher.update(value), cipher.final()]);
  return { publicKey: own, box: Buffer.concat([cipher.getAuthTag(), sealed]).toString('base64url') };
}

const textOf = (key: KeyObject): string => key.export({ format: 'jwk' }).x ?? '';

function sharedKey(own: KeyObject, theirs: string, context: string): Buffer {
  try {
    const publicKey = createPublicKey({ key: { kty: 'OKP', crv: 'X25519', x: theirs }, format: 'jwk' });
    const secret = diffieHellman({ privateKey: own, publicKey });
    return Buffer.from(hkdfSync('sha256', secret, '', `wafer secrets ${context}`, KEY_BYTES));
  } catch (cause) {
    throw new WaferError('invalid_request', 'publicKey: is no X25519 key.', { cause, details: { path: '/publicKey' } });
  }
}
