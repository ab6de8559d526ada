import { command } from '../command.ts';
import { createContainerClient } from '../container-client.ts';
import { containerArgument, forEach } from '../containers/arguments.ts';

export default command({
  name: 'unpause',
  about: 'Lets a paused container go on.',
  args: { ...containerArgument },
  many: true,
  examples: [['wafer unpause web', 'where it was']],
  run: async (_flags, { ui, env, positionals }) => {
    const client = createContainerClient(env);
    return forEach(positionals, ui, async (name) => {
      await client.unpause(name);
      ui.out(name);
    });
  },
});
