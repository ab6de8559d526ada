import { command } from '../command.ts';
import { createContainerClient } from '../container-client.ts';
import { containerArgument, forEach } from '../containers/arguments.ts';
import { readFlag, readWhole } from '../containers/parse.ts';

export default command({
  name: 'stop',
  about:
    'Sends the stop signal to containers, and KILL to what has not ended after a while. One that does not run stays as it is.',
  args: {
    ...containerArgument,
    time: { type: 'string', alias: 't', valueHint: 'SECONDS', description: "Until KILL; default the container's own" },
  },
  many: true,
  examples: [
    ['wafer stop web', 'gently'],
    ['wafer stop -t 0 web db', 'at once'],
  ],
  run: async ({ time }, { ui, env, positionals }) => {
    const client = createContainerClient(env);
    const seconds = time === undefined ? undefined : readFlag('--time', () => readWhole(time, 0));
    return forEach(positionals, ui, async (name) => {
      await client.stop(name, seconds);
      ui.out(name);
    });
  },
});
