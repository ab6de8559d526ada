import { command, jsonFlag } from '../../command.ts';
import { count, formatBytes } from '../../format.ts';
import { createImageClient } from '../../image-client.ts';

export default command({
  name: 'image prune',
  about:
    'Removes images that nobody named (builds without -t, what failed builds left), and layers and blobs that nothing refers to. Says how many bytes went.',
  args: {
    all: {
      type: 'boolean',
      alias: 'a',
      description: 'Also images with names, except base images and functions, and the build cache',
    },
    'build-cache': { type: 'boolean', description: 'Also layers of build steps, and what cache mounts keep' },
    ...jsonFlag,
  },
  examples: [
    ['wafer image prune', 'only what nothing refers to'],
    ['wafer image prune --build-cache', 'the next build runs every step again'],
    ['wafer image prune --all', 'also what was pulled, loaded and built'],
  ],
  run: async ({ all, 'build-cache': buildCache, json }, { ui, env }) => {
    const result = await createImageClient(env).prune({ all: all === true, buildCache: buildCache === true });
    if (json) return ui.json(result);
    ui.out(
      `${ui.paint('green', '✓')} ${count(result.images, 'image')} and ${count(result.layers, 'layer')} are gone: ${formatBytes(result.bytes)}.`,
    );
  },
});
