/** When: as flags, and as words. */
import type { ArgsDef } from 'citty';
import { WaferError } from '../../core/errors.ts';
import type { ScheduleRequest } from '../../core/triggers/schedules/types.ts';
import { formatAge, formatAgo, formatMs } from '../format.ts';
import { parseDuration } from '../numbers.ts';

export const timingFlags = {
  cron: {
    type: 'string',
    valueHint: 'EXPRESSION',
    description: 'Five fields, or six with seconds first; @daily and the like',
  },
  timezone: { type: 'string', valueHint: 'NAME', description: 'Of --cron, like Europe/Berlin; default UTC' },
  every: { type: 'string', valueHint: 'TIME', description: 'Instead: every 30s, 10m, 2h, 1d' },
  at: { type: 'string', valueHint: 'WHEN', description: 'Instead: once, like 2026-12-24T18:00:00+01:00' },
  start: { type: 'string', valueHint: 'WHEN', description: 'Not before' },
  end: { type: 'string', valueHint: 'WHEN', description: 'Not after' },
} as const satisfies ArgsDef;

type TimingFlags = { [Flag in keyof typeof timingFlags]?: string | undefined };

/** Which go together is the server's to say. @throws WaferError `usage`, naming the flag */
export function readTiming({
  cron,
  timezone,
  every,
  at,
  start,
  end,
}: TimingFlags): Omit<ScheduleRequest, 'functionName'> {
  return {
    ...(cron !== undefined && { cron }),
    ...(timezone !== undefined && { timeZone: timezone }),
    ...(every !== undefined && { everyMs: parseDuration('--every', every) }),
    ...(at !== undefined && { at: parseTime('--at', at) }),
    ...(start !== undefined && { start: parseTime('--start', start) }),
    ...(end !== undefined && { end: parseTime('--end', end) }),
  };
}

export function parseTime(flag: string, text: string): number {
  const time = /^\d{10,15}$/.test(text) ? Number(text) : Date.parse(text);
  if (Number.isFinite(time)) return time;
  throw new WaferError('usage', `${flag} ${text} is not a time.`, {
    hint: 'Write 2026-12-24T18:00:00+01:00; without a zone it is the one of this machine.',
  });
}

export function describeTiming({ cron, timeZone, everyMs, at }: TimingWords): string {
  if (cron !== undefined) return timeZone === 'UTC' ? cron : `${cron} (${timeZone})`;
  return everyMs === undefined ? `once, ${localTime(at ?? 0)}` : `every ${formatMs(everyMs)}`;
}

type TimingWords = Pick<ScheduleRequest, 'cron' | 'timeZone' | 'everyMs' | 'at'>;

/** `2026-12-24 18:00:00` in the zone of this machine, or of `timeZone`. */
export function localTime(at: number, timeZone?: string): string {
  return new Intl.DateTimeFormat('sv-SE', {
    dateStyle: 'short',
    timeStyle: 'medium',
    ...(timeZone && { timeZone }),
  }).format(at);
}

/** `in 5 min`, `2 h ago`, `now`. */
export function fromNow(at: number, now: number): string {
  const until = formatAge(now, at);
  return until === 'now' ? formatAgo(at, now) : `in ${until}`;
}
