import { createClient } from '../client.ts';
import { command, jsonFlag } from '../command.ts';
import { formatAgo } from '../format.ts';

const otherAliases = (aliases: Record<string, number>): string =>
  Object.entries(aliases)
    .filter(([alias]) => alias !== 'live')
    .map(([alias, version]) => `${alias} → v${version}`)
    .join(', ');

export default command({
  name: 'list',
  about: 'Lists the functions with their live version.',
  args: { ...jsonFlag },
  examples: [
    ['wafer list', 'a table'],
    ["wafer list --json | jq -r '.[].name'", 'the names only'],
  ],
  run: async ({ json }, { ui, env }) => {
    const functions = await createClient(env).functions();
    if (json) return ui.json(functions);
    if (functions.length === 0) {
      return ui.out('No functions yet. Make one: wafer init hello && wafer deploy hello');
    }
    const now = Date.now();
    ui.table(
      [
        { header: 'NAME', style: 'bold' },
        { header: 'LIVE', align: 'right' },
        { header: 'LATEST', align: 'right' },
        { header: 'OTHER ALIASES' },
        { header: 'CREATED', align: 'right' },
      ],
      functions.map(({ name, aliases, latest, createdAt }) => [
        name,
        `v${aliases['live'] ?? '?'}`,
        `v${latest}`,
        otherAliases(aliases),
        formatAgo(createdAt, now),
      ]),
    );
  },
});
