import { WaferError } from '../../../core/errors.ts';
import { command, jsonFlag } from '../../command.ts';
import { parseCount } from '../../numbers.ts';
import { createScheduleClient } from '../../schedule-client.ts';
import { fromNow, localTime, readTiming, timingFlags } from '../../schedules/timing.ts';

export default command({
  name: 'schedule preview',
  about: 'Prints the next due times: of a schedule, or of what could be one.',
  args: {
    name: { type: 'positional', required: false, description: 'Name of the schedule' },
    ...timingFlags,
    count: { type: 'string', alias: 'n', valueHint: 'N', description: 'So many; default 5, at most 99' },
    ...jsonFlag,
  },
  examples: [
    ['wafer schedule preview nightly', 'of one that is there'],
    ['wafer schedule preview --cron "0 2 * * *" --timezone America/New_York -n 10', 'before it is made'],
  ],
  run: async (args, { ui, env }) => {
    const client = createScheduleClient(env);
    const timing = readTiming(args);
    const count = args.count === undefined ? 5 : parseCount('--count', args.count);
    if ((args.name === undefined) === (Object.keys(timing).length === 0))
      throw new WaferError('usage', 'Give the name of a schedule, or one of --cron, --every and --at.');
    const next =
      args.name === undefined ? await client.previewTiming(timing, count) : await client.preview(args.name, count);
    if (args.json) return ui.json(next);
    const zone = args.name === undefined ? timing.timeZone : (await client.get(args.name)).timeZone;
    const now = Date.now();
    if (next.length === 0) ui.out('It is never due again.');
    for (const due of next) ui.out(`${localTime(due, zone)}   ${new Date(due).toISOString()}   ${fromNow(due, now)}`);
  },
});
