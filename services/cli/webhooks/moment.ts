import { WaferError } from '../../core/errors.ts';
import { parseDuration } from '../numbers.ts';
import { parseTime } from '../schedules/timing.ts';

/** `2h` is two hours ago; else a time. Epoch ms. @throws WaferError `usage`, naming the flag */
export function parseMoment(flag: string, text: string, now: number): number {
  if (/^\d+(?:\.\d+)?[a-z]+$/.test(text)) return Math.max(0, Math.floor(now - parseDuration(flag, text)));
  const time = parseTime(flag, text);
  if (time >= 0) return time;
  throw new WaferError('usage', `${flag} ${text} is before 1970.`);
}
