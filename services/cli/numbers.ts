import { WaferError } from '../core/errors.ts';

/** @throws WaferError `usage`, naming the flag */
export function parseCount(flag: string, text: string): number {
  const number = Number(text.replace(/^v(?=\d)/, ''));
  if (Number.isSafeInteger(number) && number >= 1) return number;
  throw new WaferError('usage', `${flag} ${text} is not a whole number from 1.`);
}

const UNIT_BYTES: Record<string, number> = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };

/** `4096`, `512k`, `100m`, `2g` in bytes. @throws WaferError `usage`, naming the flag */
export function parseBytes(flag: string, text: string): number {
  const [, digits, unit = ''] = /^(\d+(?:\.\d+)?)([kmg]?)(?:i?b)?$/i.exec(text) ?? [];
  const bytes = Math.round(Number(digits) * (UNIT_BYTES[unit.toLowerCase()] ?? 1));
  if (digits !== undefined && bytes >= 1) return bytes;
  throw new WaferError('usage', `${flag} ${text} is not a size.`, { hint: 'Write 512k, 100m or 2g.' });
}

const UNIT_MS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000 };

/** `90s`, `10m`, `2h`, `1d` in ms. @throws WaferError `usage`, naming the flag */
export function parseDuration(flag: string, text: string): number {
  const [, digits, unit = ''] = /^(\d+(?:\.\d+)?)(ms|s|m|min|h|d)$/.exec(text) ?? [];
  if (digits !== undefined) return Math.round(Number(digits) * (UNIT_MS[unit] ?? 1));
  throw new WaferError('usage', `${flag} ${text} is not a time span.`, { hint: 'Write 30s, 10m, 2h or 1d.' });
}
