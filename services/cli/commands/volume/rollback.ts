import { command, jsonFlag } from '../../command.ts';
import { createVolumeClient } from '../../volume-client.ts';
import { snapshotArgument, volumeArgument } from './arguments.ts';

export default command({
  name: 'volume rollback',
  about: 'Gives a volume the state of a snapshot again. What was written since is gone; the snapshot stays.',
  args: { ...volumeArgument, ...snapshotArgument, ...jsonFlag },
  examples: [['wafer volume rollback counter before-upgrade', 'a transaction that runs meanwhile fails']],
  run: async ({ name, snapshot, json }, { ui, env }) => {
    const volume = await createVolumeClient(env).rollback(name, snapshot);
    if (json) return ui.json(volume);
    ui.out(`${ui.paint('green', '✓')} ${name} is as it was in ${snapshot}.`);
  },
});
