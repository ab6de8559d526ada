import { command, jsonFlag } from '../../command.ts';
import { shortDigest } from '../../format.ts';
import { createImageClient } from '../../image-client.ts';
import { openTar } from '../../tar-input.ts';
import { showTransfer } from '../../transfer-progress.ts';

export default command({
  name: 'image load',
  about: 'Takes the images of an oci-archive or a docker-archive, plain or compressed with gzip.',
  args: {
    input: { type: 'string', alias: 'i', valueHint: 'FILE', description: 'File to read; without it stdin' },
    ...jsonFlag,
  },
  examples: [
    ['wafer image load -i app.tar', 'from a file'],
    ['docker save app | wafer image load', 'from another program'],
  ],
  run: async ({ input, json }, { ui, env, cwd }) => {
    const archive = await openTar(input, cwd, 'Add -i FILE.');
    const client = createImageClient(env);
    const { images } = await showTransfer(client.load(archive), ui, client.url);
    if (json) return ui.json(images);
    for (const { digest, tags } of images) {
      ui.out(`${ui.paint('green', '✓')} ${ui.paint('bold', tags.join(', ') || '(no name)')} ${shortDigest(digest)}`);
    }
  },
});
