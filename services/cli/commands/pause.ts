import { command } from '../command.ts';
import { createContainerClient } from '../container-client.ts';
import { containerArgument, forEach } from '../containers/arguments.ts';

export default command({
  name: 'pause',
  about: 'Holds every process of a container where it is. "wafer unpause" lets it go on.',
  args: { ...containerArgument },
  many: true,
  examples: [['wafer pause web', 'connections stay open, nothing answers']],
  run: async (_flags, { ui, env, positionals }) => {
    const client = createContainerClient(env);
    return forEach(positionals, ui, async (name) => {
      await client.pause(name);
      ui.out(name);
    });
  },
});
