/**
 * The next time at which a wall clock shows what a cron expression means.
 *
 * Between two changes of a zone's offset the wall clock is the time plus a constant, so the
 * search goes from one such span to the next. At a change, with hours that are restricted
 * (not `*`), a time of day is due once: one that is skipped comes as much later as the clock
 * jumped, and one that is there twice counts the first time only. With every hour the clock
 * is just followed.
 */
import type { CronTimes } from './cron.ts';
import type { Zone } from './zone.ts';

const SECOND_MS = 1000;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** 29 February on one weekday may be this far: 2096 to 2104, and seven such leap years. */
const MOST_MS = 45 * 366 * DAY_MS;
const MOST_GAP_MS = 3 * HOUR_MS;
/** Zones are at most 26 hours apart. */
const NEAR_MS = 28 * HOUR_MS;

/** The first time after `after`; null: there is none for decades. */
export function nextOccurrence(times: CronTimes, zone: Zone, after: number): number | null {
  const end = after + MOST_MS;
  let from = (Math.floor(after / SECOND_MS) + 1) * SECOND_MS;
  while (from < end) {
    const offset = zone.offset(from);
    const wall = from + offset;
    const day = nextDay(times, wall, end + offset);
    if (day === null) return null;
    if (day - wall > 2 * NEAR_MS) {
      from = day - offset - NEAR_MS;
      continue;
    }
    const to = zone.change(from, from + DAY_MS) ?? from + DAY_MS;
    const found = inSpan(times, zone, { from, to, offset });
    if (found !== null) return found;
    from = to;
  }
  return null;
}

interface Span {
  from: number;
  to: number;
  offset: number;
}

function inSpan(times: CronTimes, zone: Zone, { from, to, offset }: Span): number | null {
  const regular = (start: number) => {
    const wall = nextWall(times, start + offset, to + offset);
    return wall === null ? null : wall - offset;
  };
  if (times.hours.length === 24) return regular(from);
  const changed = zone.change(from - MOST_GAP_MS, from);
  if (changed === null) return regular(from);
  const before = zone.offset(changed - 1);
  const jump = offset - before;
  // What the clock showed already does not count again.
  if (jump < 0) return regular(Math.max(from, changed - jump));
  const late = nextWall(times, from + before, Math.min(to, changed + jump) + before);
  const own = regular(from);
  if (late === null || own === null) return own ?? (late === null ? null : late - before);
  return Math.min(own, late - before);
}

/** The first match at `from` or later, before `to`; wall clocks as if they were UTC. */
function nextWall(times: CronTimes, from: number, to: number): number | null {
  for (let day = nextDay(times, from, to); day !== null; day = nextDay(times, day + DAY_MS, to)) {
    const found = inDay(times, Math.max(0, from - day));
    if (found !== null) return day + found < to ? day + found : null;
  }
  return null;
}

/** The first match in a day at this ms of it or later. */
function inDay({ hours, minutes, seconds }: CronTimes, from: number): number | null {
  for (const hour of hours) {
    const hourMs = hour * HOUR_MS;
    if (hourMs + HOUR_MS <= from) continue;
    for (const minute of minutes) {
      const minuteMs = hourMs + minute * 60_000;
      if (minuteMs + 60_000 <= from) continue;
      const second = seconds.find((one) => minuteMs + one * SECOND_MS >= from);
      if (second !== undefined) return minuteMs + second * SECOND_MS;
    }
  }
  return null;
}

/** The start of the first matching day that is not over at `wall`, before `to`. */
function nextDay({ months, matchesDay }: CronTimes, wall: number, to: number): number | null {
  let day = Math.floor(wall / DAY_MS) * DAY_MS;
  while (day < to) {
    const date = new Date(day);
    const [year, month] = [date.getUTCFullYear(), date.getUTCMonth() + 1];
    if (!months.has(month)) day = Date.UTC(year, month, 1);
    else if (matchesDay(year, month, date.getUTCDate())) return day;
    else day += DAY_MS;
  }
  return null;
}
