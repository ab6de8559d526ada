/** What schemes are made of. Nothing here returns earlier for one wrong signature than for another. */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { Algorithm, Encoding, Headers, Refusal } from './types.ts';

/** Signatures in one request; rotation needs two. */
export const MOST_SIGNATURES = 8;

const digest = (text: string) => createHash('sha256').update(text).digest();

/** Neither length nor content shows in the time it takes. Exact: other spellings of the same bytes do not fit. */
export const sameText = (one: string, other: string) => timingSafeEqual(digest(one), digest(other));

/** Whether any of the given is any of the expected; all are looked at. */
export function anyFits(given: readonly string[], expected: readonly string[]): boolean {
  let fits = false;
  for (const one of given) for (const other of expected) fits = sameText(one, other) || fits;
  return fits;
}

export const hmac = (algorithm: Algorithm, key: string | Buffer, parts: readonly (string | Buffer)[], as: Encoding) => {
  const sum = createHmac(algorithm, key);
  for (const part of parts) sum.update(part);
  return sum.digest(as);
};

/** Ten digits, for 2001 to 2286: where no character parts it from the body, a digit of that must not count. */
const UNIX_SECONDS = /^[1-9][0-9]{9}$/;

/** Null: it is within the tolerance, on either side. */
export function checkTime(text: string | undefined, now: number, toleranceMs: number): Refusal | null {
  if (text === undefined || !UNIX_SECONDS.test(text)) return 'bad_timestamp';
  const age = now - Number(text) * 1000;
  if (age > toleranceMs) return 'stale';
  return -age > toleranceMs ? 'future' : null;
}

/** A name as senders give it; undefined for an empty one, or one that nobody would give. */
export function nameIn(headers: Headers, header: string | undefined): string | undefined {
  const value = header === undefined ? undefined : headers[header];
  return value !== undefined && value !== '' && value.length <= 256 ? value : undefined;
}

/** Text at a key of a JSON object. */
export function textAt(value: unknown, key: string): string | undefined {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
  const found = (value as Record<string, unknown>)[key];
  return typeof found === 'string' && found !== '' && found.length <= 256 ? found : undefined;
}

/** Names a delivery by what is signed, where its sender gives it no name. */
export const nameBySignature = (...parts: (string | undefined)[]) =>
  `sha256:${createHash('sha256').update(JSON.stringify(parts)).digest('hex')}`;

/** Leaves out what is undefined: optional fields are absent, not undefined. */
export const names = (deliveryId: string | undefined, eventType: string | undefined) => ({
  ...(deliveryId !== undefined && { deliveryId }),
  ...(eventType !== undefined && { eventType }),
});
