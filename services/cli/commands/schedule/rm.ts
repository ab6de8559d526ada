import { command } from '../../command.ts';
import { createScheduleClient } from '../../schedule-client.ts';
import { scheduleArgument } from './arguments.ts';

export default command({
  name: 'schedule rm',
  about: 'Removes a schedule. What it started goes on.',
  args: { ...scheduleArgument },
  examples: [['wafer schedule rm nightly', 'its runs are forgotten, their invocations are not']],
  run: async ({ name }, { ui, env }) => {
    await createScheduleClient(env).remove(name);
    ui.out(`${ui.paint('green', '✓')} ${name} is removed.`);
  },
});
