import { command } from '../../command.ts';
import { createImageClient } from '../../image-client.ts';
import { registryArgument } from './arguments.ts';

export default command({
  name: 'image logout',
  about: 'Makes the platform forget the name and the password for a registry.',
  args: { ...registryArgument },
  examples: [['wafer image logout registry.example', 'one registry']],
  run: async ({ registry }, { ui, env }) => {
    await createImageClient(env).logout(registry);
    ui.out(`${ui.paint('green', '✓')} The password for ${registry} is forgotten.`);
  },
});
