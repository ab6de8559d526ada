import { createClient } from '../client.ts';
import { command, jsonFlag, nameArgument } from '../command.ts';
import { formatAgo, formatBytes, shortDigest } from '../format.ts';

export default command({
  name: 'versions',
  about: 'Lists the versions of a function, the newest first, and which aliases point at them.',
  args: { ...nameArgument, ...jsonFlag },
  examples: [
    ['wafer versions hello', 'a table'],
    ['wafer versions hello --json', 'with settings and image digests'],
  ],
  run: async ({ name, json }, { ui, env }) => {
    const { versions, aliases } = await createClient(env).versions(name);
    if (json) return ui.json(versions);
    const now = Date.now();
    const newestFirst = [...versions].sort((a, b) => b.number - a.number);
    ui.table(
      [
        { header: 'VERSION', style: 'bold' },
        { header: 'ALIASES', style: 'green' },
        { header: 'IMAGE' },
        { header: 'BASE' },
        { header: 'FILES', align: 'right' },
        { header: 'ADDED', align: 'right' },
        { header: 'DEPLOYED', align: 'right' },
      ],
      newestFirst.map((version) => [
        `v${version.number}`,
        Object.keys(aliases)
          .filter((alias) => aliases[alias] === version.number)
          .join(', '),
        shortDigest(version.image),
        version.base,
        formatBytes(version.codeBytes),
        formatBytes(version.addedBytes),
        formatAgo(version.createdAt, now),
      ]),
    );
  },
});
