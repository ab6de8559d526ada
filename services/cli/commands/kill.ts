import { command } from '../command.ts';
import { createContainerClient } from '../container-client.ts';
import { containerArgument, forEach } from '../containers/arguments.ts';
import { readFlag, readSignal } from '../containers/parse.ts';

export default command({
  name: 'kill',
  about: 'Sends a signal to the main program of containers.',
  args: {
    ...containerArgument,
    signal: { type: 'string', alias: 's', default: 'KILL', description: 'Name or number' },
  },
  many: true,
  examples: [
    ['wafer kill web', 'end it now'],
    ['wafer kill -s HUP web', 'what many servers take for "read the settings again"'],
  ],
  run: async (flags, { ui, env, positionals }) => {
    const client = createContainerClient(env);
    const signal = readFlag('--signal', () => readSignal(flags.signal));
    return forEach(positionals, ui, async (name) => {
      await client.kill(name, signal);
      ui.out(name);
    });
  },
});
