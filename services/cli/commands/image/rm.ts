import { command, jsonFlag } from '../../command.ts';
import { count, formatBytes } from '../../format.ts';
import { createImageClient } from '../../image-client.ts';
import { imageArgument } from './arguments.ts';

export default command({
  name: 'image rm',
  about: 'Removes a name; the image and the layers that only it has go with its last name. By digest all its names go.',
  args: { ...imageArgument, ...jsonFlag },
  examples: [['wafer image rm registry.example/team/app:v1', 'one name']],
  run: async ({ image, json }, { ui, env }) => {
    const result = await createImageClient(env).remove(image);
    if (json) return ui.json(result);
    for (const tag of result.untagged) ui.out(`${ui.paint('green', '✓')} ${tag} is no name any more.`);
    if (result.removed === null) return;
    ui.out(
      `${ui.paint('green', '✓')} ${result.removed} is gone with ${count(result.layers, 'layer')}: ${formatBytes(result.bytes)}.`,
    );
  },
});
