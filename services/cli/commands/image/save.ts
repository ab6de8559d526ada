import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { WaferError } from '../../../core/errors.ts';
import { command } from '../../command.ts';
import { createImageClient } from '../../image-client.ts';
import { imageArgument } from './arguments.ts';

export default command({
  name: 'image save',
  about: 'Writes an image into an archive: an OCI layout (skopeo, podman, buildah), or what "docker load" reads.',
  args: {
    ...imageArgument,
    output: { type: 'string', alias: 'o', valueHint: 'FILE', description: 'File to write; without it stdout' },
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
  run: async ({ image, output, format }, { ui, env, cwd }) => {
    if (output === undefined && ui.stdoutIsTty) {
      throw new WaferError('usage', 'An archive is not for a terminal.', { hint: 'Add -o FILE.' });
    }
    const { body } = await createImageClient(env).save(image, format);
    if (output === undefined) {
      for await (const chunk of body as AsyncIterable<Buffer>) await ui.raw(chunk);
      return;
    }
    const path = resolve(cwd, output);
    try {
      await pipeline(body, createWriteStream(path));
    } catch (error) {
      await rm(path, { force: true });
      throw new WaferError(
        'not_reachable',
        `The archive could not be written to ${path}: ${(error as Error).message}`,
        { cause: error },
      );
    }
    ui.err(`${ui.paintErr('green', '✓')} ${image} is in ${path}.`);
  },
});
