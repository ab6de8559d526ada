import { command } from '../command.ts';
import { createContainerClient } from '../container-client.ts';
import { containerArgument, forEach } from '../containers/arguments.ts';

export default command({
  name: 'wait',
  about: 'Waits until containers do not run, and prints their exit codes, one a line.',
  args: { ...containerArgument },
  many: true,
  examples: [['wafer wait job', 'then its exit code']],
  run: async (_flags, { ui, env, positionals }) => {
    const client = createContainerClient(env);
    return forEach(positionals, ui, async (name) => ui.out(String(await client.wait(name))));
  },
});
