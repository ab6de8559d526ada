/** Names that the platform makes up. Crockford's base 32 in lower case: no look-alikes, safe in paths and URLs. */
import { customAlphabet } from 'nanoid';

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
const TIME_LENGTH = 10;
const RANDOM_LENGTH = 16;
const INVOCATION_ID = new RegExp(`^inv_[${ALPHABET}]{${TIME_LENGTH + RANDOM_LENGTH}}$`);

const random = customAlphabet(ALPHABET);

function encodeTime(time: number): string {
  let rest = time;
  let text = '';
  for (let place = 0; place < TIME_LENGTH; place++) {
    text = ALPHABET.charAt(rest % 32) + text;
    rest = Math.floor(rest / 32);
  }
  return text;
}

/** What every invocation id of that epoch ms starts with; ids sort by time as plain text. */
export const invocationIdPrefix = (time: number) => `inv_${encodeTime(Math.max(0, Math.floor(time)))}`;

/** `inv_` + 10 characters of time + 80 random bits. */
export const newInvocationId = (now: number = Date.now()) => invocationIdPrefix(now) + random(RANDOM_LENGTH);

export const isInvocationId = (text: string) => INVOCATION_ID.test(text);

/** Epoch ms at which the id was made; `null` for what is not an invocation id. */
export function invocationTime(id: string): number | null {
  if (!isInvocationId(id)) return null;
  return [...id.slice(4, 4 + TIME_LENGTH)].reduce((time, letter) => time * 32 + ALPHABET.indexOf(letter), 0);
}

/** Also the name of a sandbox: short, and fit for a directory and a host name. */
export const newInstanceId = () => `i-${random(12)}`;

/** 200 random bits. The prefix lets secret scanners find a leaked one. */
export const newApiKey = () => `wafer_${random(40)}`;

/** 21 characters: 105 random bits. Fit for a directory and a host name. */
export const newContainerId = () => random(21);

/** Content of a volume; no volume can be called so. */
export const newVolumeLayerId = () => `_${random(8)}`;

/** 130 random bits: its URL is all that a sender without signatures has to know. */
export const newWebhookId = () => `whk_${random(26)}`;

/** What every id of a delivery of that epoch ms starts with; they sort by time. */
export const deliveryIdPrefix = (time: number) => `dlv_${encodeTime(Math.max(0, Math.floor(time)))}`;

export const newDeliveryId = (now: number = Date.now()) => deliveryIdPrefix(now) + random(RANDOM_LENGTH);
