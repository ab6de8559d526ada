import { WaferError } from '../../core/errors.ts';
import { command } from '../command.ts';
import { createContainerClient } from '../container-client.ts';
import { containerArgument } from '../containers/arguments.ts';
import { attachTo, detachFlag, needsTerminal } from '../containers/attached.ts';

export default command({
  name: 'attach',
  about:
    "Goes to the main program of a running container: its output here, stdin and signals there. The program's exit code is the exit code.",
  args: {
    ...containerArgument,
    'no-stdin': { type: 'boolean', description: 'Only watch' },
    'no-signals': { type: 'boolean', description: 'Signals end this command, not the program' },
    logs: { type: 'boolean', description: 'Show first what it said before' },
    ...detachFlag,
  },
  examples: [
    ['wafer attach shell', 'ctrl-p ctrl-q leaves it running'],
    ['wafer attach --no-stdin --logs web', 'watch it, from its beginning'],
  ],
  run: async (flags, { ui, env, rawArgs }) => {
    const client = createContainerClient(env);
    const container = await client.get(flags.container);
    if (container.status !== 'running') {
      throw new WaferError('conflict', `${container.name} is ${container.status}: there is nothing to attach to.`, {
        hint:
          container.status === 'paused'
            ? `"wafer unpause ${container.name}" lets it go on.`
            : `"wafer start -a ${container.name}" starts it and attaches.`,
      });
    }
    const stdin = !rawArgs.includes('--no-stdin');
    if (stdin && container.config.terminal && container.config.stdin) needsTerminal('attach');
    return attachTo({
      client,
      container,
      ui,
      stdin,
      detachKeys: flags['detach-keys'],
      logs: flags.logs === true,
      start: false,
      forward: !rawArgs.includes('--no-signals'),
    });
  },
});
