import { command, jsonFlag } from '../../command.ts';
import { formatAge, formatBytes, safeText } from '../../format.ts';
import { createVolumeClient } from '../../volume-client.ts';
import { refArgument } from './arguments.ts';

const MARKS = { dir: '/', link: '@', other: '=', file: '' } as const;

export default command({
  name: 'volume files',
  about: 'Lists what is in a directory of a volume.',
  args: {
    ...refArgument,
    path: { type: 'positional', description: 'Directory or file', valueHint: '/PATH', required: false, default: '/' },
    ...jsonFlag,
  },
  examples: [
    ['wafer volume files reports', 'what is at its top'],
    ['wafer volume files reports@monday /2026', 'of a snapshot'],
  ],
  run: async ({ name, path, json }, { ui, env }) => {
    const listing = await createVolumeClient(env).files(name, path);
    if (json) return ui.json(listing);
    const files = listing.files ?? [listing];
    if (files.length === 0) return ui.out(`There is nothing in ${name}${path === '/' ? '' : `:${path}`}.`);
    const now = Date.now();
    ui.table(
      [{ header: 'NAME', style: 'bold' }, { header: 'SIZE', align: 'right' }, { header: 'CHANGED' }],
      files.map(({ name: file, type, size, modified }) => [
        `${safeText(file)}${MARKS[type]}`,
        type === 'file' ? formatBytes(size) : '',
        formatAge(modified, now),
      ]),
    );
  },
});
