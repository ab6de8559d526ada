/** Cron: what it takes and refuses, and the next times, also where clocks change; cron-parser's own search is the second opinion. */
import { CronExpressionParser } from 'cron-parser';
import { describe, expect, it } from 'vitest';
import { WaferError } from '../../../services/core/errors.ts';
import { parseCron } from '../../../services/core/triggers/schedules/cron.ts';
import { nextOccurrence } from '../../../services/core/triggers/schedules/occurrences.ts';
import { dueTimes } from '../../../services/core/triggers/schedules/timing.ts';
import { openZone } from '../../../services/core/triggers/schedules/zone.ts';

function times(cron: string, timeZone: string, after: string, count: number): string[] {
  const { next } = dueTimes({ timing: { kind: 'cron', cron, timeZone } });
  const found: string[] = [];
  let at: number | null = Date.parse(after);
  while (found.length < count) {
    at = next(at);
    if (at === null) break;
    found.push(new Date(at).toISOString().replace(':00.000Z', 'Z'));
  }
  return found;
}

function refusal(cron: string, timeZone = 'UTC'): string {
  try {
    dueTimes({ timing: { kind: 'cron', cron, timeZone } });
  } catch (error) {
    if (error instanceof WaferError) return `${error.code} ${error.message}`;
    throw error;
  }
  return 'taken';
}

describe('a cron expression', () => {
  it.each([
    ['61 * * * *', 'the minute "61" is not valid'],
    ['* 25 * * *', 'the hour "25" is not valid'],
    ['* * 32 * *', 'the day of month "32" is not valid'],
    ['* * 0 * *', 'the day of month "0" is not valid'],
    ['* * * 13 *', 'the month "13" is not valid'],
    ['* * * * 8', 'the day of week "8" is not valid'],
    ['99 * * * * *', 'the second "99" is not valid'],
    ['0 a * * * *', 'the minute "a" is not valid'],
    ['* * * foo *', 'the month "foo" is not valid'],
    ['* * * * mon#9', 'the day of week "mon#9" is not valid'],
    ['1,,2 * * * *', 'the minute "1,,2" is not valid'],
    ['5-1 * * * *', 'the minute "5-1" is not valid'],
    ['*/0 * * * *', 'the minute "*/0" is not valid'],
    ['-1 * * * *', 'the minute "-1" is not valid'],
    ['1.5 * * * *', 'the minute "1.5" is not valid'],
    ['H * * * *', 'the minute "H" is not valid'],
    ['* * 15W * *', 'the day of month "15W" is not valid'],
    ['* * * *', 'has 4 fields'],
    ['* * * * * * *', 'has 7 fields'],
    ['', 'has 0 fields'],
    ['@evry', 'is not one of @yearly'],
    ['0 0 30 2 *', 'is never due'],
    [`${'1,'.repeat(400)}1 * * * *`, 'more than 512 characters'],
    ['* * * * *\0', 'day of week'],
  ])('%j is refused, and the message says what is wrong: %s', (cron, part) => {
    expect(refusal(cron)).toMatch(/^invalid_schedule cron: /);
    expect(refusal(cron)).toContain(part);
  });

  it.each(['Europe/Nowhere', '+02:00', '', 'local', '../etc/passwd', 'UTC+3\n'])(
    'the time zone %j is refused',
    (zone) => {
      expect(refusal('0 0 * * *', zone)).toContain(`invalid_schedule timeZone: "${zone}" is not a time zone.`);
    },
  );

  it('has seconds when it has six fields, and takes names, steps, last days and nth weekdays', () => {
    const from = '2026-01-01T00:00:00Z';
    expect(times('*/20 * * * * *', 'UTC', from, 2)).toEqual(['2026-01-01T00:00:20.000Z', '2026-01-01T00:00:40.000Z']);
    expect(times('0 12 L * *', 'UTC', from, 3)).toEqual([
      '2026-01-31T12:00Z',
      '2026-02-28T12:00Z',
      '2026-03-31T12:00Z',
    ]);
    expect(times('0 9 * * mon#2', 'UTC', from, 2)).toEqual(['2026-01-12T09:00Z', '2026-02-09T09:00Z']);
    expect(times('0 9 * * 5L', 'UTC', from, 2)).toEqual(['2026-01-30T09:00Z', '2026-02-27T09:00Z']);
    expect(times('@weekly', 'UTC', from, 2)).toEqual(['2026-01-04T00:00Z', '2026-01-11T00:00Z']);
    expect(times('0 0 13 * fri', 'UTC', from, 3)).toEqual([
      '2026-01-02T00:00Z',
      '2026-01-09T00:00Z',
      '2026-01-13T00:00Z',
    ]);
    expect(times('0 0 29 2 *', 'UTC', from, 2)).toEqual(['2028-02-29T00:00Z', '2032-02-29T00:00Z']);
  });

  it('that is due every eleven leap years is found, and one of the year 9999 too', () => {
    expect(times('0 0 29 2 *', 'UTC', '2096-03-01T00:00:00Z', 1)).toEqual(['2104-02-29T00:00Z']);
    expect(times('0 0 1 1 *', 'UTC', '9998-06-01T00:00:00Z', 1)).toEqual(['9999-01-01T00:00Z']);
  });
});

describe('where clocks go forward', () => {
  it('a time that is skipped comes as much later as the clock jumped, once', () => {
    expect(times('30 2 * * *', 'Europe/Berlin', '2026-03-28T12:00:00Z', 2)).toEqual([
      '2026-03-29T01:30Z',
      '2026-03-30T00:30Z',
    ]);
    expect(times('30 2 * * *', 'America/New_York', '2026-03-07T12:00:00Z', 2)).toEqual([
      '2026-03-08T07:30Z',
      '2026-03-09T06:30Z',
    ]);
    // 02:30 and 03:30 are the same moment that day.
    expect(times('30 1,2,3 * * *', 'Europe/Berlin', '2026-03-28T23:00:00Z', 3)).toEqual([
      '2026-03-29T00:30Z',
      '2026-03-29T01:30Z',
      '2026-03-29T23:30Z',
    ]);
  });

  it('all runs of the skipped hour come, also when each is looked for from the one before', () => {
    expect(times('*/20 2 * * *', 'Europe/Berlin', '2026-03-28T23:00:00Z', 4)).toEqual([
      '2026-03-29T01:00Z',
      '2026-03-29T01:20Z',
      '2026-03-29T01:40Z',
      '2026-03-30T00:00Z',
    ]);
  });

  it('what runs every hour just goes on', () => {
    expect(times('*/30 * * * *', 'Europe/Berlin', '2026-03-29T00:20:00Z', 3)).toEqual([
      '2026-03-29T00:30Z',
      '2026-03-29T01:00Z',
      '2026-03-29T01:30Z',
    ]);
  });

  it('by half an hour (Lord Howe) it is the same', () => {
    // 02:00 becomes 02:30 on 4 October, at 15:30 UTC of the 3rd.
    expect(times('15 2 * * *', 'Australia/Lord_Howe', '2026-10-03T00:00:00Z', 2)).toEqual([
      '2026-10-03T15:45Z',
      '2026-10-04T15:15Z',
    ]);
    expect(times('0 * * * *', 'Australia/Lord_Howe', '2026-10-03T14:31:00Z', 2)).toEqual([
      '2026-10-03T16:00Z',
      '2026-10-03T17:00Z',
    ]);
  });
});

describe('where clocks go back', () => {
  it('a time that is there twice counts once, the first time', () => {
    expect(times('30 2 * * *', 'Europe/Berlin', '2026-10-24T12:00:00Z', 2)).toEqual([
      '2026-10-25T00:30Z',
      '2026-10-26T01:30Z',
    ]);
    expect(times('*/20 1 * * *', 'America/New_York', '2026-11-01T04:00:00Z', 4)).toEqual([
      '2026-11-01T05:00Z',
      '2026-11-01T05:20Z',
      '2026-11-01T05:40Z',
      '2026-11-02T06:00Z',
    ]);
  });

  it('what runs every hour runs in both hours', () => {
    expect(times('0 * * * *', 'Europe/Berlin', '2026-10-24T23:30:00Z', 4)).toEqual([
      '2026-10-25T00:00Z',
      '2026-10-25T01:00Z',
      '2026-10-25T02:00Z',
      '2026-10-25T03:00Z',
    ]);
  });
});

describe('the search', () => {
  const crons = [
    '30 2 * * *',
    '*/20 1 * * *',
    '0 0 * * *',
    '15 0-5 * * *',
    '7 * * * *',
    '30 1,2,3 * * *',
    '0 12 1 * *',
    '0 8 * * 1-5',
    '10 */5 * * *',
    '0 30 23 L * *',
    '5 0 * * 0',
  ];
  const spans = [
    ['2026-03-01', '2026-04-10'],
    ['2026-10-20', '2026-11-10'],
    ['2027-12-20', '2028-01-10'],
  ] as const;
  it.each(['Europe/Berlin', 'America/New_York', 'UTC', 'Asia/Kolkata'])('agrees with cron-parser in %s', (zone) => {
    for (const cron of crons) {
      for (const [begin, end] of spans) {
        const other = CronExpressionParser.parse(cron, { tz: zone, currentDate: new Date(begin) });
        const expected: string[] = [];
        for (let at = other.next().toDate(); at.getTime() < Date.parse(end); at = other.next().toDate())
          expected.push(at.toISOString().replace(':00.000Z', 'Z'));
        expect(times(cron, zone, begin, expected.length), cron).toEqual(expected);
      }
    }
  });

  it('gives the first time after any moment: none is lost or found twice', () => {
    const zone = openZone('Europe/Berlin')!;
    const cron = parseCron('*/7 1-4 * * *');
    for (const day of ['2026-03-29', '2026-10-25']) {
      const begin = Date.parse(`${day}T00:00:00Z`) - 7_200_000;
      const walked: number[] = [];
      for (
        let at = nextOccurrence(cron, zone, begin)!;
        at < begin + 2 * 86_400_000;
        at = nextOccurrence(cron, zone, at)!
      )
        walked.push(at);
      for (let at = begin; at < begin + 28_800_000; at += 61_000)
        expect(nextOccurrence(cron, zone, at)).toBe(walked.find((one) => one > at));
    }
  });

  it('of the latest looks back as far as it must, and no further than asked', () => {
    const each = dueTimes({ timing: { kind: 'cron', cron: '* * * * * *', timeZone: 'UTC' } });
    expect(each.latest(0, 10_000_000_500, 3)).toEqual([9_999_998_000, 9_999_999_000, 10_000_000_000]);
    const yearly = dueTimes({ timing: { kind: 'cron', cron: '@yearly', timeZone: 'UTC' } });
    const [from, to] = [Date.UTC(2020, 0, 1), Date.UTC(2026, 5, 1)];
    expect(yearly.latest(from, to, 2)).toEqual([Date.UTC(2025, 0, 1), Date.UTC(2026, 0, 1)]);
    expect(yearly.latest(from, to, 100)).toHaveLength(7);
  });
});
