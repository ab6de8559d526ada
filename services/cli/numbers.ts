import { WaferError } from '../core/errors.ts';

/** @throws WaferError `usage`, naming the flag */
export function parseCount(flag: string, text: string): number {
  const number = Number(text.replace(/^v(?=\d)/, ''));
  if (Number.isSafeInteger(number) && number >= 1) return number;
  throw new WaferError('usage', `${flag} ${text} is not a whole number from 1.`);
}

const UNIT_MS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000 };

/** `90s`, `10m`, `2h`, `1d` in ms. @throws WaferError `usage`, naming the flag */
export function parseDuration(flag: string, text: string): number {
  const [, digits, unit = ''] = /^(\d+(?:\.\d+)?)(ms|s|m|min|h|d)$/.exec(text) ?? [];
  if (digits !== undefined) return Math.round(Number(digits) * (UNIT_MS[unit] ?? 1));
  throw new WaferError('usage', `${flag} ${text} is not a time span.`, { hint: 'Write 30s, 10m, 2h or 1d.' });
}
