import { open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { WaferError } from '../../../core/errors.ts';
import { command, jsonFlag } from '../../command.ts';
import { shortDigest } from '../../format.ts';
import { createImageClient } from '../../image-client.ts';
import { showTransfer } from '../../transfer-progress.ts';

async function openArchive(path: string) {
  const file = await open(path).catch((cause: Error) => {
    throw new WaferError('usage', `${path} can not be read: ${cause.message}`, { cause });
  });
  return file.createReadStream({ highWaterMark: 256 * 1024 });
}

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
    if (input === undefined && process.stdin.isTTY === true) {
      throw new WaferError('usage', 'There is no archive on stdin.', { hint: 'Add -i FILE.' });
    }
    const client = createImageClient(env);
    const archive = input === undefined ? process.stdin : await openArchive(resolve(cwd, input));
    const { images } = await showTransfer(client.load(archive), ui, client.url);
    if (json) return ui.json(images);
    for (const { digest, tags } of images) {
      ui.out(`${ui.paint('green', '✓')} ${ui.paint('bold', tags.join(', ') || '(no name)')} ${shortDigest(digest)}`);
    }
  },
});
