import { command, jsonFlag } from '../../command.ts';
import { count } from '../../format.ts';
import { createVolumeClient } from '../../volume-client.ts';

export default command({
  name: 'volume prune',
  about: 'Removes the volumes that no function mounts, with their snapshots.',
  args: { ...jsonFlag },
  examples: [['wafer volume prune', 'says which']],
  run: async (args, { ui, env }) => {
    const removed = await createVolumeClient(env).prune();
    if (args.json) return ui.json({ removed });
    for (const name of removed) ui.out(name);
    ui.err(`${ui.paintErr('green', '✓')} ${count(removed.length, 'volume')} removed.`);
  },
});
