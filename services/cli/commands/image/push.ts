import { command, jsonFlag } from '../../command.ts';
import { formatMs, shortDigest } from '../../format.ts';
import { createImageClient } from '../../image-client.ts';
import { showTransfer } from '../../transfer-progress.ts';
import { imageArgument } from './arguments.ts';

export default command({
  name: 'image push',
  about: 'Brings an image to a registry, under its own name or another one. It has the same digest there.',
  args: {
    ...imageArgument,
    as: { type: 'positional', description: 'Name there, when it is not its own', required: false },
    ...jsonFlag,
  },
  examples: [
    ['wafer image push registry.example/team/app:v1', 'under its name'],
    ['wafer image push node24 registry.example/base/node:24', 'under another one'],
  ],
  run: async ({ image, as, json }, { ui, env }) => {
    const begun = Date.now();
    const client = createImageClient(env);
    const result = await showTransfer(client.push(image, as), ui, client.url);
    if (json) return ui.json(result);
    const took = formatMs(Date.now() - begun);
    ui.out(
      `${ui.paint('green', '✓')} ${ui.paint('bold', result.name)} ${shortDigest(result.digest)} went there in ${took}.`,
    );
  },
});
