import { command, jsonFlag } from '../../command.ts';
import { formatMs, shortDigest } from '../../format.ts';
import { createImageClient } from '../../image-client.ts';
import { showTransfer } from '../../transfer-progress.ts';

export default command({
  name: 'image pull',
  about: "Brings an image from a registry, for this machine's processor. Layers that are there cost nothing.",
  args: {
    reference: { type: 'positional', description: '[registry/]repository[:tag][@digest]', required: true },
    ...jsonFlag,
  },
  examples: [
    ['wafer image pull registry.example/team/app:v1', 'by tag'],
    ['wafer image pull registry.example/team/app@sha256:...', 'by digest: always the same image'],
  ],
  run: async ({ reference, json }, { ui, env }) => {
    const begun = Date.now();
    const client = createImageClient(env);
    const result = await showTransfer(client.pull(reference), ui, client.url);
    if (json) return ui.json(result);
    const how = result.isNew === false ? 'was there already' : `came in ${formatMs(Date.now() - begun)}`;
    ui.out(`${ui.paint('green', '✓')} ${ui.paint('bold', result.name)} ${shortDigest(result.digest)} ${how}.`);
  },
});
