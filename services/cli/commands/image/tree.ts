import { command, jsonFlag } from '../../command.ts';
import { createImageClient } from '../../image-client.ts';
import { drawTree } from '../../layer-tree.ts';

export default command({
  name: 'image tree',
  about:
    'Draws layers with what stands on them: the lowest layer at the left, layers over it below, images and functions where their layers end. Layers between which nothing begins or ends are one line. Compressed sizes.',
  args: {
    image: {
      type: 'positional',
      description: 'Only what stands on the same lowest layer as this image',
      required: false,
    },
    layers: { type: 'boolean', description: 'Every layer on a line of its own' },
    ...jsonFlag,
  },
  examples: [
    ['wafer image tree', 'all images'],
    ['wafer image tree node24 --layers', 'what shares layers with node24'],
  ],
  run: async ({ image, layers, json }, { ui, env }) => {
    const tree = await createImageClient(env).tree(image);
    if (json) return ui.json(tree);
    if (tree.images.length === 0) return ui.out('The image store is empty. "npm start" prepares the base images.');
    drawTree(tree, ui, { everyLayer: layers === true });
  },
});
