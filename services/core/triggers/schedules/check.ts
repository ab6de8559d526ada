/** A request for a schedule -> its definition, with defaults and messages that name the setting. */

import { WaferError } from '../../errors.ts';
import { checkAlias, checkFunctionName, isName } from '../../functions/names.ts';
import { invalidSchedule } from './problems.ts';
import { dueTimes } from './timing.ts';
import { MISSED, OVERLAPS, type ScheduleDefinition, type ScheduleRequest, type Timing } from './types.ts';

const DAY_MS = 86_400_000;
/** The last day that every calendar here can write: 9999-12-31. */
const MOST_TIME = Date.UTC(9999, 11, 31);
export const SCHEDULE_LIMITS = {
  everyMs: [1_000, 366 * DAY_MS],
  jitterMs: [0, DAY_MS],
  missedLimit: [1, 1_000],
  dataBytes: 32 * 1024,
} as const;

/** @throws WaferError `invalid_name` */
export function checkScheduleName(name: string): string {
  if (isName(name)) return name;
  throw new WaferError(
    'invalid_name',
    `${JSON.stringify(name.slice(0, 80))} is not a valid name of a schedule: it must be 1 to 63 lower-case letters, digits and dashes, beginning with a letter or digit.`,
  );
}

/** @throws WaferError `invalid_schedule | invalid_name` */
export function toDefinition(request: ScheduleRequest, now: number): ScheduleDefinition {
  const { functionName, alias, version, start, end, overlap = 'skip', missed = 'last', missedLimit = 10 } = request;
  checkFunctionName(functionName);
  if (alias !== undefined && version !== undefined)
    throw invalidSchedule('version', 'is not for a schedule that has an alias');
  if (alias !== undefined) checkAlias(alias);
  if (version !== undefined) whole('version', version, 1, 2 ** 31);
  oneOf('overlap', overlap, OVERLAPS);
  oneOf('missed', missed, MISSED);
  const { jitterMs = 0, data = null } = request;
  whole('jitterMs', jitterMs, ...SCHEDULE_LIMITS.jitterMs);
  whole('missedLimit', missedLimit, ...SCHEDULE_LIMITS.missedLimit);
  assertData(data);
  return {
    functionName,
    ...(alias !== undefined && { alias }),
    ...(version !== undefined && { version }),
    ...toBounds({ start, end }),
    timing: toTiming(request, now),
    jitterMs,
    overlap,
    missed,
    missedLimit,
    data,
  };
}

/** Also for previews. @throws WaferError `invalid_schedule` */
export function toTiming(request: Omit<ScheduleRequest, 'functionName'>, now: number): Timing {
  const { cron, everyMs, at, timeZone, start } = request;
  const given = Object.entries({ cron, everyMs, at }).filter(([, value]) => value !== undefined);
  if (given.length !== 1) {
    const what = given.length === 0 ? 'none of them is set' : `${given.map(([name]) => name).join(' and ')} are set`;
    throw invalidSchedule('cron', `a schedule has one of cron, everyMs and at; ${what}`);
  }
  if (timeZone !== undefined && cron === undefined) throw invalidSchedule('timeZone', 'is only for cron');
  const timing = timingOf();
  // A text that is wrong, a zone that is unknown, or a date that never comes.
  const bounds = toBounds(request);
  if (dueTimes({ timing, ...bounds }).next(now) !== null) return timing;
  throw timing.kind === 'at'
    ? invalidSchedule('at', `${rfc(timing.at)} is over`)
    : invalidSchedule(
        timing.kind === 'cron' ? 'cron' : 'end',
        `it is never due${bounds.end === undefined ? '' : ` before ${rfc(bounds.end)}`}`,
      );

  function timingOf(): Timing {
    if (cron !== undefined) return { kind: 'cron', cron: cron.trim(), timeZone: timeZone ?? 'UTC' };
    if (at !== undefined) return { kind: 'at', at: time('at', at) };
    const every = whole('everyMs', everyMs ?? 0, ...SCHEDULE_LIMITS.everyMs);
    return { kind: 'every', everyMs: every, anchor: start === undefined ? now : time('start', start) - every };
  }
}

export function toBounds({ start, end }: { start?: number | undefined; end?: number | undefined }): {
  start?: number;
  end?: number;
} {
  if (start !== undefined) time('start', start);
  if (end !== undefined) time('end', end);
  if (start !== undefined && end !== undefined && end < start)
    throw invalidSchedule('end', `${rfc(end)} is before the start, ${rfc(start)}`);
  return { ...(start !== undefined && { start }), ...(end !== undefined && { end }) };
}

const rfc = (at: number) => new Date(at).toISOString();

function time(name: string, value: number): number {
  if (Number.isInteger(value) && value >= 0 && value <= MOST_TIME) return value;
  throw invalidSchedule(name, `must be a time in epoch ms from 0 to ${MOST_TIME} (the end of year 9999), not ${value}`);
}

function whole(name: string, value: number, least: number, most: number): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw invalidSchedule(name, `must be a whole number from ${least} to ${most}, not ${value}`);
}

function oneOf(name: string, value: string, known: readonly string[]): void {
  if (!known.includes(value)) throw invalidSchedule(name, `must be one of ${known.join(', ')}, not "${value}"`);
}

function assertData(data: unknown): void {
  const bytes = Buffer.byteLength(JSON.stringify(data) ?? '');
  if (bytes > SCHEDULE_LIMITS.dataBytes)
    throw invalidSchedule('data', `has ${bytes} bytes as JSON; ${SCHEDULE_LIMITS.dataBytes} are allowed`);
}
