import { command } from '../../command.ts';
import { createImageClient } from '../../image-client.ts';
import { assertNotTerminal, writeTar } from '../../tar-output.ts';
import { imageArgument, outputFlag } from './arguments.ts';

export default command({
  name: 'image export',
  about:
    'Writes the root file system of an image as one tar: all layers together, deleted files left out, with owners, links and extended attributes.',
  args: { ...imageArgument, ...outputFlag },
  examples: [
    ['wafer image export app:1.0 -o app-root.tar', 'into a file'],
    ['wafer image export app:1.0 | tar -t', 'what is in it'],
  ],
  run: async ({ image, output }, context) => {
    assertNotTerminal(output, context);
    const { body } = await createImageClient(context.env).exportRoot(image);
    await writeTar(body, output, `The root file system of ${image}`, context);
  },
});
