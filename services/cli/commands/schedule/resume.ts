import { command, jsonFlag } from '../../command.ts';
import { createScheduleClient } from '../../schedule-client.ts';
import { fromNow, localTime } from '../../schedules/timing.ts';
import { scheduleArgument } from './arguments.ts';

export default command({
  name: 'schedule resume',
  about: 'Lets a paused schedule go on, from its next due time.',
  args: { ...scheduleArgument, ...jsonFlag },
  examples: [['wafer schedule resume nightly', 'what was due meanwhile is not made up for']],
  run: async ({ name, json }, { ui, env }) => {
    const schedule = await createScheduleClient(env).resume(name);
    if (json) return ui.json(schedule);
    const { due, timeZone } = schedule;
    if (due === undefined) return ui.out(`${name} is ${schedule.state}: it has no due time left.`);
    ui.out(`${ui.paint('green', '✓')} ${name} is due ${localTime(due, timeZone)}, ${fromNow(due, Date.now())}.`);
  },
});
