import { command } from '../command.ts';
import { createContainerClient } from '../container-client.ts';
import { containerArgument, forEach } from '../containers/arguments.ts';
import { readFlag, readWhole } from '../containers/parse.ts';

export default command({
  name: 'restart',
  about: 'Stops containers and starts them again. One that does not run is started.',
  args: {
    ...containerArgument,
    time: { type: 'string', alias: 't', valueHint: 'SECONDS', description: "Until KILL; default the container's own" },
  },
  many: true,
  examples: [
    ['wafer restart web', 'gently'],
    ['wafer restart -t 0 web db', 'at once'],
  ],
  run: async ({ time }, { ui, env, positionals }) => {
    const client = createContainerClient(env);
    const seconds = time === undefined ? undefined : readFlag('--time', () => readWhole(time, 0));
    return forEach(positionals, ui, async (name) => {
      await client.restart(name, seconds);
      ui.out(name);
    });
  },
});
