import { command, jsonFlag } from '../../command.ts';
import { createScheduleClient } from '../../schedule-client.ts';
import { scheduleArgument } from './arguments.ts';

export default command({
  name: 'schedule run',
  about: 'Starts one invocation now, also of a paused schedule. Its due times stay as they are.',
  args: { ...scheduleArgument, ...jsonFlag },
  examples: [['wafer schedule run nightly', 'and "wafer invocations get ID" shows how it goes']],
  run: async ({ name, json }, { ui, env }) => {
    const accepted = await createScheduleClient(env).run(name);
    if (json) return ui.json(accepted);
    ui.out(accepted.id);
  },
});
