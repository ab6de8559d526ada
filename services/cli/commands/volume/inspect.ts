import { command, jsonFlag } from '../../command.ts';
import { count, formatAge, formatBytes } from '../../format.ts';
import { createVolumeClient } from '../../volume-client.ts';
import { volumeArgument } from './arguments.ts';

export default command({
  name: 'volume inspect',
  about: 'Shows a volume: what it takes, who mounts it, its snapshots. It is measured for that.',
  args: { ...volumeArgument, ...jsonFlag },
  examples: [
    ['wafer volume inspect reports', 'for a person'],
    ['wafer volume inspect reports --json', 'for a program'],
  ],
  run: async ({ name, json }, { ui, env }) => {
    const client = createVolumeClient(env);
    const volume = await client.get(name);
    const usage = await client.usage(name);
    if (json) return ui.json({ ...volume, usage });
    const now = Date.now();
    const { transactions, maxBytes, maxEntries, functions, mounts, snapshots } = volume;
    const of = (limit: string | null) => (limit === null ? '' : ` of ${limit}`);
    ui.out(`${ui.paint('bold', name)}, made ${formatAge(volume.createdAt, now)}`);
    ui.out(`  takes         ${formatBytes(usage.bytes)}${of(maxBytes === null ? null : formatBytes(maxBytes))}`);
    ui.out(`  entries       ${usage.entries}${of(maxEntries === null ? null : String(maxEntries))}`);
    ui.out(
      `  transactions  ${transactions === null ? 'none: mode "rw" or "ro"' : `${transactions}: mode "tx" or "ro"`}`,
    );
    ui.out(
      `  mounted by    ${functions.length === 0 ? 'no function' : functions.join(', ')}, ${count(mounts, 'instance')} now`,
    );
    for (const snapshot of snapshots) ui.out(`  snapshot      ${snapshot.name}, ${formatAge(snapshot.createdAt, now)}`);
  },
});
