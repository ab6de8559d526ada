import { command, jsonFlag } from '../../command.ts';
import { formatAge, formatBytes } from '../../format.ts';
import { createVolumeClient } from '../../volume-client.ts';

export default command({
  name: 'volume ls',
  about: 'Lists the volumes and who mounts them.',
  args: { ...jsonFlag },
  examples: [['wafer volume ls', 'a table']],
  run: async ({ json }, { ui, env }) => {
    const volumes = await createVolumeClient(env).list();
    if (json) return ui.json(volumes);
    if (volumes.length === 0) return ui.out('There are no volumes. Make one: wafer volume create NAME');
    const now = Date.now();
    ui.table(
      [
        { header: 'VOLUME', style: 'bold' },
        { header: 'TRANSACTIONS' },
        { header: 'LIMIT' },
        { header: 'SNAPSHOTS', align: 'right' },
        { header: 'FUNCTIONS' },
        { header: 'MADE' },
      ],
      volumes.map(({ name, transactions, maxBytes, snapshots, functions, createdAt }) => [
        name,
        transactions ?? '',
        maxBytes === null ? '' : formatBytes(maxBytes),
        String(snapshots.length),
        functions.join(', '),
        formatAge(createdAt, now),
      ]),
    );
  },
});
