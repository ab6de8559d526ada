import { WaferError } from '../../core/errors.ts';
import { command } from '../command.ts';
import { createContainerClient } from '../container-client.ts';
import { containerArgument, forEach } from '../containers/arguments.ts';
import { attachTo, detachFlag, needsTerminal } from '../containers/attached.ts';
import { programExit } from '../containers/exit-codes.ts';

export default command({
  name: 'start',
  about: 'Starts containers that do not run. With -a it stays attached to one; its exit code is the exit code then.',
  args: {
    ...containerArgument,
    attach: { type: 'boolean', alias: 'a', description: 'Show its output, and pass signals on' },
    interactive: { type: 'boolean', alias: 'i', description: 'Pass stdin on; implies -a' },
    ...detachFlag,
  },
  many: true,
  examples: [
    ['wafer start web db', 'two of them'],
    ['wafer start -a -i shell', 'go in'],
  ],
  errorExit: (error) =>
    error instanceof WaferError && error.code !== 'container_start_failed' ? 1 : programExit(error),
  run: async (flags, { ui, env, positionals }) => {
    const client = createContainerClient(env);
    if (!flags.attach && !flags.interactive) {
      return forEach(positionals, ui, async (name) => {
        await client.start(name);
        ui.out(name);
      });
    }
    if (positionals.length > 1)
      throw new WaferError('usage', 'Only one container can be attached to.', { hint: 'Leave out -a and -i.' });
    const container = await client.get(flags.container);
    if (flags.interactive && container.config.terminal && container.config.stdin) needsTerminal('start');
    const shared = { client, container, ui, detachKeys: flags['detach-keys'], logs: false };
    const start = container.status !== 'running' && container.status !== 'paused';
    return attachTo({ ...shared, stdin: flags.interactive === true, start, forward: true });
  },
});
