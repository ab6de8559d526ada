import { command } from '../command.ts';
import { createContainerClient } from '../container-client.ts';
import { containerArgument } from '../containers/arguments.ts';

export default command({
  name: 'rename',
  about: 'Gives a container another name.',
  args: { ...containerArgument, name: { type: 'positional', description: 'The new name', required: true } },
  examples: [['wafer rename quiet_otter web', 'its id stays']],
  run: async ({ container, name }, { ui, env }) => {
    const { id } = await createContainerClient(env).rename(container, name);
    ui.out(`${ui.paint('green', '✓')} ${id.slice(0, 12)} is ${ui.paint('bold', name)} now.`);
  },
});
