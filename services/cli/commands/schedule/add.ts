import { WaferError } from '../../../core/errors.ts';
import { MISSED, OVERLAPS } from '../../../core/triggers/schedules/types.ts';
import { command, jsonFlag } from '../../command.ts';
import { readEvent } from '../../event-input.ts';
import { parseCount, parseDuration } from '../../numbers.ts';
import { createScheduleClient } from '../../schedule-client.ts';
import { describeTiming, fromNow, localTime, readTiming, timingFlags } from '../../schedules/timing.ts';
import { scheduleArgument } from './arguments.ts';

function choice<T extends string>(flag: string, text: string | undefined, known: readonly T[]): T | undefined {
  const found = known.find((one) => one === text);
  if (text === undefined || found !== undefined) return found;
  throw new WaferError('usage', `${flag} ${text} is not one of ${known.join(', ')}.`);
}

export default command({
  name: 'schedule add',
  about: 'Makes a schedule, or replaces the one with this name; then its due times count from now.',
  args: {
    ...scheduleArgument,
    function: { type: 'string', alias: 'f', valueHint: 'NAME', required: true, description: 'Function to call' },
    ...timingFlags,
    data: {
      type: 'string',
      alias: 'd',
      valueHint: 'JSON',
      description: '`data` of the event: JSON, @file or - for stdin',
    },
    overlap: {
      type: 'string',
      valueHint: OVERLAPS.join('|'),
      description: 'When the one before has not ended: leave this one out (default), line up, or cancel that one',
    },
    missed: {
      type: 'string',
      valueHint: MISSED.join('|'),
      description: 'What was due while the platform was away: nothing, the latest (default), or all runs',
    },
    'missed-limit': {
      type: 'string',
      valueHint: 'N',
      description: 'With --missed all: the latest so many; default 10',
    },
    jitter: { type: 'string', valueHint: 'TIME', description: 'Put each off by less than this, like 30s' },
    alias: { type: 'string', valueHint: 'ALIAS', description: 'Of the function; default: live' },
    version: { type: 'string', valueHint: 'VERSION', description: 'A fixed version instead' },
    paused: { type: 'boolean', description: 'Make it, and leave it paused' },
    ...jsonFlag,
  },
  examples: [
    ['wafer schedule add nightly -f report --cron "30 2 * * *" --timezone Europe/Berlin', 'every night at 02:30'],
    ['wafer schedule add poll -f fetch --every 30s --overlap skip', 'every half minute'],
    ['wafer schedule add launch -f announce --at 2026-12-24T18:00:00+01:00', 'once'],
  ],
  run: async (args, { ui, env, cwd }) => {
    const { name, data, alias, jitter, version, paused, json } = args;
    const overlap = choice('--overlap', args.overlap, OVERLAPS);
    const missed = choice('--missed', args.missed, MISSED);
    const schedule = await createScheduleClient(env).put(name, {
      functionName: args.function,
      ...readTiming(args),
      ...(data !== undefined && { data: JSON.parse((await readEvent(data, cwd, ui)).toString()) as unknown }),
      ...(overlap !== undefined && { overlap }),
      ...(missed !== undefined && { missed }),
      ...(args['missed-limit'] !== undefined && { missedLimit: parseCount('--missed-limit', args['missed-limit']) }),
      ...(jitter !== undefined && { jitterMs: parseDuration('--jitter', jitter) }),
      ...(alias !== undefined && { alias }),
      ...(version !== undefined && { version: parseCount('--version', version) }),
      ...(paused === true && { paused }),
    });
    if (json) return ui.json(schedule);
    const { due, timeZone, state } = schedule;
    const when = due === undefined ? `it is ${state}` : `next ${localTime(due, timeZone)}, ${fromNow(due, Date.now())}`;
    ui.out(`${ui.paint('green', '✓')} ${name} calls ${schedule.functionName}: ${describeTiming(schedule)}; ${when}.`);
  },
});
