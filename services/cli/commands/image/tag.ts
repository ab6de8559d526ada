import { command } from '../../command.ts';
import { shortDigest } from '../../format.ts';
import { createImageClient } from '../../image-client.ts';
import { imageArgument } from './arguments.ts';

export default command({
  name: 'image tag',
  about: 'Gives an image another name. An image that has the name loses it.',
  args: { ...imageArgument, tag: { type: 'positional', description: '[registry/]repository[:tag]', required: true } },
  examples: [['wafer image tag node24 registry.example/base/node:24', 'before it is pushed there']],
  run: async ({ image, tag }, { ui, env }) => {
    const { digest, tags } = await createImageClient(env).tag(image, tag);
    ui.out(`${ui.paint('green', '✓')} ${shortDigest(digest)} is ${tags.join(', ')}.`);
  },
});
