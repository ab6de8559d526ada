/** What goes in and out of schedules. Rules that need more than one setting are core's. */
import { Type } from 'typebox';
import { NAME_PATTERN } from '../../core/functions/schema.ts';
import { MISSED, OVERLAPS } from '../../core/triggers/schedules/types.ts';
import { literals, strict, time, whole } from './shapes.ts';

export const ScheduleParams = Type.Object({
  name: Type.String({ pattern: NAME_PATTERN, description: 'Name of the schedule' }),
});

const moment = (description: string) => Type.Optional(Type.Integer({ minimum: 0, description }));

const timing = {
  cron: Type.Optional(
    Type.String({ maxLength: 600, description: 'Five fields, or six with seconds first, or `@daily` and the like' }),
  ),
  timeZone: Type.Optional(Type.String({ maxLength: 64, description: 'Of `cron`: an IANA name; default UTC' })),
  everyMs: Type.Optional(Type.Integer({ minimum: 0, description: 'Instead of `cron`: every so many milliseconds' })),
  at: moment('Instead of `cron`: once, epoch ms'),
  start: moment('No due time before, epoch ms'),
  end: moment('No due time after, epoch ms'),
};

const settings = {
  functionName: Type.String({ pattern: NAME_PATTERN, description: 'The function that it calls' }),
  alias: Type.Optional(Type.String({ pattern: NAME_PATTERN, description: 'Of the function; default `live`' })),
  version: Type.Optional(Type.Integer({ minimum: 1, description: 'A fixed version instead of an alias' })),
  ...timing,
  jitterMs: Type.Optional(Type.Integer({ minimum: 0, description: 'Each due time is put off by less than this' })),
  overlap: Type.Optional(
    literals(OVERLAPS, {
      default: 'skip',
      description: 'When the invocation before has not ended: leave this one out, line up behind it, or cancel it',
    }),
  ),
  missed: Type.Optional(
    literals(MISSED, {
      default: 'last',
      description: 'Due times that nobody was there for: none, the latest, or all run',
    }),
  ),
  missedLimit: Type.Optional(
    Type.Integer({ minimum: 1, description: 'With `missed: all`: the latest so many; default 10' }),
  ),
  data: Type.Optional(Type.Unknown({ description: 'Any JSON; `data` of the event' })),
};

export const ScheduleBody = Type.Object(
  { ...settings, paused: Type.Optional(Type.Boolean({ description: 'Made, and not running' })) },
  strict,
);

export const PreviewBody = Type.Object(
  { ...timing, count: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, default: 5 })) },
  strict,
);

export const PreviewQuery = Type.Object({ count: Type.Optional(whole(2, 'Due times: 1 to 99, default 5')) }, strict);

const shown = {
  name: Type.String(),
  ...settings,
  state: literals(['active', 'paused', 'ended'], { description: '`ended`: no due time is left' }),
  due: Type.Optional(time('The next due time')),
  problem: Type.Optional(Type.String({ description: 'What keeps it from starting; it is tried again' })),
  createdAt: time('When it was made'),
  updatedAt: time('When it was last changed'),
};

export const Schedule = Type.Object(shown);

const ScheduleRun = Type.Object({
  kind: literals(['started', 'skipped', 'missed', 'failed']),
  due: time('The due time'),
  at: time('When it was looked at'),
  invocation: Type.Optional(Type.String()),
  manual: Type.Optional(Type.Boolean({ description: 'By hand' })),
  invocationState: Type.Optional(Type.Unsafe({ type: ['string', 'null'], description: '`null`: its record is gone' })),
  outcome: Type.Optional(
    Type.String({ description: '`worker_lost`: it was parked, since it took its workers with it' }),
  ),
  because: Type.Optional(Type.String({ description: 'Invocation that had not ended' })),
  next: Type.Optional(Type.Unsafe({ type: ['integer', 'null'], description: 'Where it went on' })),
  reason: Type.Optional(Type.String()),
});

export const ScheduleDetail = Type.Object({
  ...shown,
  runs: Type.Array(ScheduleRun, { description: 'What became of the last due times, newest first' }),
  next: Type.Array(time('A due time'), { description: 'The next due times' }),
});
