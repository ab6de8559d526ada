/** When a schedule is due: the next time, the latest ones, and how far each is put off. */
import { createHash } from 'node:crypto';
import { type CronTimes, parseCron } from './cron.ts';
import { nextOccurrence } from './occurrences.ts';
import { invalidSchedule } from './problems.ts';
import type { ScheduleDefinition, Timing } from './types.ts';
import { openZone, type Zone } from './zone.ts';

export interface DueTimes {
  /** The first after `after`; null: there is none. */
  next(after: number): number | null;
  /** Up to `count` of those from `from` to `to`, both included: the latest, oldest first. `count` is 1 or more. */
  latest(from: number, to: number, count: number): number[];
}

type Bounded = Pick<ScheduleDefinition, 'timing' | 'start' | 'end'>;

/** @throws WaferError `invalid_schedule` */
export function dueTimes({ timing, start, end }: Bounded): DueTimes {
  const raw = rawTimes(timing);
  const next = (after: number) => {
    const found = raw(start === undefined ? after : Math.max(after, start - 1));
    return found === null || (end !== undefined && found > end) ? null : found;
  };
  return { next, latest: (from, to, count) => latestOf(next, { from, to, count }) };
}

function rawTimes(timing: Timing): (after: number) => number | null {
  if (timing.kind === 'at') return (after) => (timing.at > after ? timing.at : null);
  if (timing.kind === 'every') {
    const { everyMs, anchor } = timing;
    return (after) => anchor + everyMs * Math.max(1, Math.floor((after - anchor) / everyMs) + 1);
  }
  const { times, zone } = compiled(timing.cron, timing.timeZone);
  return (after) => nextOccurrence(times, zone, after);
}

const FIRST_LOOK_MS = 60_000;

/** Looks back twice as far until it has seen enough: a second's schedule may have missed a month. */
function latestOf(next: DueTimes['next'], { from, to, count }: { from: number; to: number; count: number }): number[] {
  for (let back = FIRST_LOOK_MS; ; back *= 2) {
    const begin = Math.max(from, to - back);
    const found: number[] = [];
    for (let due = next(begin - 1); due !== null && due <= to; due = next(due)) {
      found.push(due);
      if (found.length > count) found.shift();
    }
    if (found.length >= count || begin === from) return found;
  }
}

interface Compiled {
  times: CronTimes;
  zone: Zone;
}

/** Ten thousand schedules have a few different texts. */
const known = new Map<string, Compiled>();
const MOST_KNOWN = 1_000;

function compiled(cron: string, timeZone: string): Compiled {
  const key = `${timeZone} ${cron}`;
  const before = known.get(key);
  if (before !== undefined) return before;
  const zone = openZone(timeZone);
  if (zone === null)
    throw invalidSchedule(
      'timeZone',
      `"${timeZone}" is not a time zone`,
      'Names are like UTC, Europe/Berlin, America/New_York.',
    );
  const made = { times: parseCron(cron), zone };
  if (known.size >= MOST_KNOWN) known.clear();
  known.set(key, made);
  return made;
}

/** From 0 to below `jitterMs`: the same for everybody who asks. */
export function jitterOf({ id, jitterMs }: { id: string; jitterMs: number }, due: number): number {
  if (jitterMs === 0) return 0;
  const hash = createHash('sha256').update(`${id}@${due}`).digest();
  return Math.floor((hash.readUInt32BE(0) / 2 ** 32) * jitterMs);
}
