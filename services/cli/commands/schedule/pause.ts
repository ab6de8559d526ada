import { command, jsonFlag } from '../../command.ts';
import { createScheduleClient } from '../../schedule-client.ts';
import { scheduleArgument } from './arguments.ts';

export default command({
  name: 'schedule pause',
  about: 'Pauses a schedule. What it started goes on; due times of a paused schedule are not made up for.',
  args: { ...scheduleArgument, ...jsonFlag },
  examples: [['wafer schedule pause nightly', 'until "wafer schedule resume nightly"']],
  run: async ({ name, json }, { ui, env }) => {
    const schedule = await createScheduleClient(env).pause(name);
    if (json) return ui.json(schedule);
    ui.out(`${ui.paint('green', '✓')} ${name} is paused.`);
  },
});
