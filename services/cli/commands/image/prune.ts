import { command, jsonFlag } from '../../command.ts';
import { count, formatBytes } from '../../format.ts';
import { createImageClient } from '../../image-client.ts';

export default command({
  name: 'image prune',
  about:
    'Removes images without a name, and layers and blobs that nothing refers to. What was made in the last ten minutes stays.',
  args: {
    all: { type: 'boolean', alias: 'a', description: 'Also images with names, except base images and functions' },
    ...jsonFlag,
  },
  examples: [
    ['wafer image prune', 'only what nothing refers to'],
    ['wafer image prune --all', 'also what was pulled and loaded'],
  ],
  run: async ({ all, json }, { ui, env }) => {
    const result = await createImageClient(env).prune(all === true);
    if (json) return ui.json(result);
    ui.out(
      `${ui.paint('green', '✓')} ${count(result.images, 'image')} and ${count(result.layers, 'layer')} are gone: ${formatBytes(result.bytes)}.`,
    );
  },
});
