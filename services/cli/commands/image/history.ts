import { command, jsonFlag } from '../../command.ts';
import { formatBytes, safeText, shortDigest } from '../../format.ts';
import { createImageClient } from '../../image-client.ts';
import { imageArgument } from './arguments.ts';

export default command({
  name: 'image history',
  about:
    'Shows the steps that made an image, the newest first: instruction, layer, the layer below it, compressed size.',
  args: { ...imageArgument, full: { type: 'boolean', description: 'Whole ids and instructions' }, ...jsonFlag },
  examples: [
    ['wafer image history node24', 'a table'],
    ['wafer image history node24 --full', 'nothing cut'],
  ],
  run: async ({ image: name, full, json }, { ui, env }) => {
    const { history } = await createImageClient(env).inspect(name);
    if (json) return ui.json(history);
    const id = (digest: string | null) => (digest === null ? '-' : full ? digest : shortDigest(digest));
    const line = (text: string) => safeText(text).replaceAll('\n', ' ');
    ui.table(
      [{ header: 'LAYER' }, { header: 'PARENT' }, { header: 'SIZE', align: 'right' }, { header: 'CREATED BY' }],
      history
        .toReversed()
        .map(({ layer, parent, bytes, createdBy }) => [
          id(layer),
          id(parent),
          formatBytes(bytes),
          full ? line(createdBy) : line(createdBy).slice(0, 80),
        ]),
    );
  },
});
