import { command, jsonFlag } from '../../command.ts';
import { createScheduleClient } from '../../schedule-client.ts';
import { describeTiming, fromNow, localTime } from '../../schedules/timing.ts';

export default command({
  name: 'schedule ls',
  about: 'Lists the schedules and when each is due next.',
  args: { ...jsonFlag },
  examples: [['wafer schedule ls', 'a table']],
  run: async ({ json }, { ui, env }) => {
    const schedules = await createScheduleClient(env).list();
    if (json) return ui.json(schedules);
    if (schedules.length === 0)
      return ui.out(
        'There are no schedules. Make one: wafer schedule add NAME --function FUNCTION --cron "30 2 * * *"',
      );
    const now = Date.now();
    ui.table(
      [
        { header: 'SCHEDULE', style: 'bold' },
        { header: 'FUNCTION' },
        { header: 'WHEN' },
        { header: 'STATE' },
        { header: 'NEXT' },
      ],
      schedules.map(({ name, functionName, state, due, problem, ...timing }) => [
        name,
        functionName,
        describeTiming(timing),
        problem === undefined ? state : 'waiting',
        due === undefined ? '' : `${localTime(due, timing.timeZone)}, ${fromNow(due, now)}`,
      ]),
    );
  },
});
