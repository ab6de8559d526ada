import { command, jsonFlag } from '../../command.ts';
import { formatBytes, shortDigest } from '../../format.ts';
import { createImageClient } from '../../image-client.ts';
import { repeated } from '../../repeated.ts';
import { openTar } from '../../tar-input.ts';

export default command({
  name: 'image import',
  about:
    'Makes an image of one layer from the tar of a root file system, plain or compressed with gzip. For images that were saved there is "wafer image load".',
  args: {
    file: { type: 'positional', description: 'File to read, or - for stdin', required: true },
    name: { type: 'positional', description: 'Name of the image', required: false },
    change: {
      type: 'string',
      alias: 'c',
      valueHint: 'INSTRUCTION',
      description: 'Dockerfile instruction for its config; may be repeated',
    },
    message: { type: 'string', alias: 'm', valueHint: 'TEXT', description: 'Comment in its history' },
    ...jsonFlag,
  },
  examples: [
    [`wafer image import root.tar.gz app:1.0 -c 'CMD ["/bin/sh"]'`, 'from a file'],
    ['wafer image export app:1.0 | wafer image import - app:flat', 'all layers of an image as one'],
  ],
  run: async ({ file, name, message, json }, { ui, env, cwd, rawArgs }) => {
    const root = await openTar(file, cwd, 'Name a file.');
    const image = await createImageClient(env).importRoot(root, {
      changes: repeated(rawArgs, ['--change', '-c']),
      ...(name === undefined ? {} : { tag: name }),
      ...(message === undefined ? {} : { message }),
    });
    if (json) return ui.json(image);
    const shown = ui.paint('bold', image.tags.join(', '));
    ui.out(
      `${ui.paint('green', '✓')} ${shown} ${shortDigest(image.digest)} has one layer of ${formatBytes(image.bytes)}.`,
    );
  },
});
