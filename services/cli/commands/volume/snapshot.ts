import { command, jsonFlag } from '../../command.ts';
import { createVolumeClient } from '../../volume-client.ts';
import { snapshotArgument, volumeArgument } from './arguments.ts';

export default command({
  name: 'volume snapshot',
  about: 'Keeps the state of a volume under a name. Functions can mount it read-only as NAME@SNAPSHOT.',
  args: { ...volumeArgument, ...snapshotArgument, ...jsonFlag },
  examples: [
    ['wafer volume snapshot counter before-upgrade', 'costs nothing where there are transactions'],
    ['wafer volume rollback counter before-upgrade', 'back to it'],
  ],
  run: async ({ name, snapshot, json }, { ui, env }) => {
    const volume = await createVolumeClient(env).snapshot(name, snapshot);
    if (json) return ui.json(volume);
    ui.out(`${ui.paint('green', '✓')} ${name}@${snapshot} is there.`);
  },
});
