import { command } from '../../command.ts';
import { createImageClient } from '../../image-client.ts';
import { assertNotTerminal, writeTar } from '../../tar-output.ts';
import { imageArgument, outputFlag } from './arguments.ts';

export default command({
  name: 'image save',
  about: 'Writes an image into an archive: an OCI layout (skopeo, podman, buildah), or what "docker load" reads.',
  args: {
    ...imageArgument,
    ...outputFlag,
    format: {
      type: 'enum',
      options: ['oci-archive', 'docker-archive'],
      default: 'oci-archive',
      description: 'Who is to read it',
    },
  },
  examples: [
    ['wafer image save node24 -o node24.tar', 'into a file'],
    ['wafer image save node24 --format docker-archive | docker load', 'into another program'],
  ],
  run: async ({ image, output, format }, context) => {
    assertNotTerminal(output, context);
    const { body } = await createImageClient(context.env).save(image, format);
    await writeTar(body, output, image, context);
  },
});
