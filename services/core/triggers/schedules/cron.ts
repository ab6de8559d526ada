/**
 * Cron expressions -> which seconds, minutes, hours and days they mean.
 *
 * cron-parser reads the text; the search for the next time is ours (`occurrences.ts`), since
 * its search forgets where it is between two calls: begun inside the hour that a change of
 * the clocks skipped it loses the rest of that hour's runs, and where clocks move by half an
 * hour (Lord Howe) it gives up.
 */
import { type CronExpression, CronExpressionParser } from 'cron-parser';
import { invalidSchedule } from './problems.ts';

/** Values in rising order. */
export interface CronTimes {
  seconds: readonly number[];
  minutes: readonly number[];
  hours: readonly number[];
  months: ReadonlySet<number>;
  /** By calendar: month from 1. */
  matchesDay(year: number, month: number, day: number): boolean;
}

const FIELDS = ['second', 'minute', 'hour', 'day of month', 'month', 'day of week'] as const;
const RANGES = ['0-59', '0-59', '0-23', '1-31', '1-12 or jan-dec', '0-7 or sun-sat'] as const;
const NICKNAMES: Record<string, string> = {
  '@yearly': '0 0 0 1 1 *',
  '@annually': '0 0 0 1 1 *',
  '@monthly': '0 0 0 1 * *',
  '@weekly': '0 0 0 * * 0',
  '@daily': '0 0 0 * * *',
  '@midnight': '0 0 0 * * *',
  '@hourly': '0 0 * * * *',
};
const MAX_LENGTH = 512;

/** @throws WaferError `invalid_schedule` that names the field */
export function parseCron(text: string): CronTimes {
  const fields = splitFields(text);
  for (const [index, field] of fields.entries()) assertField(index, field);
  return toTimes(parse(fields.join(' '), (why) => invalidSchedule('cron', `"${text}" is never due: ${why}`)));
}

function splitFields(text: string): string[] {
  const trimmed = text.trim();
  if (trimmed.length > MAX_LENGTH) throw invalidSchedule('cron', `has more than ${MAX_LENGTH} characters`);
  if (trimmed.startsWith('@')) {
    const known = NICKNAMES[trimmed.toLowerCase()];
    if (known !== undefined) return known.split(' ');
    throw invalidSchedule('cron', `"${trimmed}" is not one of ${Object.keys(NICKNAMES).join(', ')}`);
  }
  const fields = trimmed === '' ? [] : trimmed.split(/\s+/);
  if (fields.length === 6) return fields;
  if (fields.length === 5) return ['0', ...fields];
  throw invalidSchedule(
    'cron',
    `"${trimmed}" has ${fields.length} fields: it needs minute, hour, day of month, month, day of week, or six with the second in front`,
  );
}

/** Each alone, so that the message can name it. */
function assertField(index: number, field: string): void {
  const refuse = (why: string) => {
    return invalidSchedule(
      'cron',
      `the ${FIELDS[index]} "${field}" is not valid: ${why}; it takes ${RANGES[index]}, and lists, ranges and steps of them`,
    );
  };
  // `H` would be another time on each call.
  if (!/^[0-9a-z*?,/#-]+$/i.test(field) || /(^|[^a-z])h/i.test(field)) throw refuse('a character has no meaning there');
  const alone = FIELDS.map((_name, other) => (other === index ? field : other === 0 ? '0' : '*'));
  parse(alone.join(' '), refuse);
}

function parse(text: string, refuse: (why: string) => Error): CronExpression['fields'] {
  try {
    return CronExpressionParser.parse(text, { tz: 'UTC' }).fields;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw refuse(
      why.replace(/^(Constraint error, |Validation error, |Invalid cron expression, )/, '').replace(/\.$/, ''),
    );
  }
}

function toTimes({ second, minute, hour, dayOfMonth, month, dayOfWeek }: CronExpression['fields']): CronTimes {
  const days = new Set(dayOfMonth.values.filter((value) => typeof value === 'number'));
  const weekdays = new Set(dayOfWeek.values.filter((value) => typeof value === 'number').map((value) => value % 7));
  const lastWeekdays = new Set(
    dayOfWeek.values.filter((value) => typeof value === 'string').map((value) => Number(value.replace(/l$/i, '')) % 7),
  );
  const matchesDate = (day: number, last: number) => days.has(day as never) || (dayOfMonth.hasLastChar && day === last);
  const matchesWeekday = (weekday: number, day: number, last: number) => {
    const isNth = dayOfWeek.nthDay <= 0 || Math.ceil(day / 7) === dayOfWeek.nthDay;
    return (weekdays.has(weekday) && isNth) || (lastWeekdays.has(weekday) && day > last - 7);
  };
  return {
    seconds: [...second.values],
    minutes: [...minute.values],
    hours: [...hour.values],
    months: new Set<number>(month.values),
    matchesDay(year, ofMonth, day) {
      const last = new Date(Date.UTC(year, ofMonth, 0)).getUTCDate();
      const weekday = new Date(Date.UTC(year, ofMonth - 1, day)).getUTCDay();
      if (dayOfWeek.isWildcard) return matchesDate(day, last);
      if (dayOfMonth.isWildcard) return matchesWeekday(weekday, day, last);
      // As in every cron: when both are restricted, one is enough.
      return matchesDate(day, last) || matchesWeekday(weekday, day, last);
    },
  };
}
