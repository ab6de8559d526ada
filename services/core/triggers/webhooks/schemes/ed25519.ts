/** Ed25519: the sender keeps the private key, the secrets here are its public keys. Headers default to Discord's. */
import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { nameBySignature, nameIn, names, textAt } from './parts.ts';
import { signedText } from './signed-text.ts';
import { type Encoding, refuse, type Scheme } from './types.ts';

const SIGNATURE_BYTES = 64;
/** RFC 8410: what comes before the 32 bytes of a public key. */
const SPKI_HEAD = Buffer.from('302a300506032b6570032100', 'hex');

/** From hex, base64 (also with `whpk_`) or PEM; null for what is no Ed25519 public key. */
export function readPublicKey(text: string): KeyObject | null {
  try {
    if (text.includes('-----BEGIN')) {
      const key = createPublicKey(text);
      return key.asymmetricKeyType === 'ed25519' ? key : null;
    }
    const plain = text.replace(/^whpk_/, '');
    const raw = Buffer.from(plain, /^[0-9a-f]{64}$/i.test(plain) ? 'hex' : 'base64');
    if (raw.length !== 32) return null;
    return createPublicKey({ key: Buffer.concat([SPKI_HEAD, raw]), format: 'der', type: 'spki' });
  } catch {
    return null;
  }
}

/** One spelling of a signature counts, the one that encoding it again gives. */
export function verifyEd25519(message: Buffer, given: string, encoding: Encoding, keys: readonly string[]): boolean {
  const signature = Buffer.from(given, encoding);
  if (signature.length !== SIGNATURE_BYTES || signature.toString(encoding) !== given) return false;
  return keys.map(readPublicKey).some((key) => key !== null && verify(null, message, key, signature));
}

export const ED25519_HEADERS = { header: 'x-signature-ed25519', timestampHeader: 'x-signature-timestamp' };

export const ed25519: Scheme = (request) => {
  const { headers, json, secrets } = request;
  // Both or none: whoever names the header of the signature says whether there is one of a time.
  const settings =
    request.settings.header === undefined ? { ...ED25519_HEADERS, ...request.settings } : request.settings;
  const { header = ED25519_HEADERS.header, encoding = 'hex', prefix = '', typeHeader } = settings;
  const given = headers[header];
  if (given === undefined || given === '') return refuse('no_signature');
  const standard = settings.timestampHeader === undefined ? '{body}' : '{timestamp}{body}';
  const text = signedText({ ...request, settings }, standard);
  if (typeof text === 'string') return refuse(text);
  const fits = given.startsWith(prefix) && verifyEd25519(text.bytes, given.slice(prefix.length), encoding, secrets);
  if (!fits) return refuse('bad_signature');
  const type = nameIn(headers, typeHeader) ?? textAt(json(), 'type');
  return { ok: true, ...names(text.id ?? nameBySignature(text.timestamp, given), type) };
};
