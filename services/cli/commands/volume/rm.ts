import { command } from '../../command.ts';
import { createVolumeClient } from '../../volume-client.ts';
import { refArgument } from './arguments.ts';

export default command({
  name: 'volume rm',
  about: 'Removes a volume with its snapshots, or one snapshot. Not while a function mounts it.',
  args: { ...refArgument },
  examples: [
    ['wafer volume rm reports', 'all of it'],
    ['wafer volume rm reports@monday', 'only the snapshot'],
  ],
  run: async ({ name: ref }, { ui, env }) => {
    const [name = '', snapshot] = ref.split('@');
    const client = createVolumeClient(env);
    await (snapshot === undefined ? client.remove(name) : client.removeSnapshot(name, snapshot));
    ui.out(`${ui.paint('green', '✓')} ${ref} is removed.`);
  },
});
