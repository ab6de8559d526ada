import { command } from '../../command.ts';
import { createSecretClient } from '../../secret-client.ts';
import { secretArgument } from './value.ts';

export default command({
  name: 'secret rm',
  about: 'Removes a secret with all its versions. One that functions use is kept, unless --force is given.',
  args: {
    ...secretArgument,
    force: { type: 'boolean', description: 'Also while functions use it: their next instances fail to start' },
  },
  examples: [['wafer secret rm db-password', 'its instances end; nothing of it is kept']],
  run: async ({ name, force }, { ui, env }) => {
    await createSecretClient(env).remove(name, force === true);
    ui.out(`${ui.paint('green', '✓')} ${name} is removed.`);
  },
});
