import { command, jsonFlag } from '../../command.ts';
import { createContainerClient } from '../../container-client.ts';
import { count } from '../../format.ts';

export default command({
  name: 'container prune',
  about: 'Removes every container that does not run, with its writable layer.',
  args: { ...jsonFlag },
  examples: [['wafer container prune', 'the same as wafer rm $(wafer ps -aq --filter status=exited), and more']],
  run: async ({ json }, { ui, env }) => {
    const { removed } = await createContainerClient(env).prune();
    if (json) return ui.json({ removed });
    for (const id of removed) ui.out(id);
    ui.err(`${ui.paintErr('green', '✓')} ${count(removed.length, 'container')} removed.`);
  },
});
