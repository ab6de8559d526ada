import { command, jsonFlag } from '../../command.ts';
import { formatMs } from '../../format.ts';
import { parseDuration } from '../../numbers.ts';
import { createWebhookClient } from '../../webhook-client.ts';
import { readSecret, secretFlag, webhookArgument } from '../../webhooks/flags.ts';
import { showSetUp } from '../../webhooks/show.ts';

const DEFAULT_KEEP = '1d';

export default command({
  name: 'webhook rotate',
  about: 'Gives a webhook another secret. The ones before count for a while more, so that no delivery is refused.',
  args: {
    ...webhookArgument,
    ...secretFlag,
    keep: { type: 'string', valueHint: 'TIME', description: 'The old ones count so long; default 1d, 0s: no more' },
    ...jsonFlag,
  },
  examples: [
    ['wafer webhook rotate pushes', 'prints the new secret; the old one counts for a day'],
    ['wafer webhook rotate pay --secret @new.txt --keep 1h', 'with one that the sender made'],
    ['wafer webhook rotate pushes --keep 0s', 'the old one is known to somebody'],
  ],
  run: async ({ webhook: name, secret: text, keep = DEFAULT_KEEP, json }, { ui, env, cwd }) => {
    const keepMs = parseDuration('--keep', keep);
    const secret = await readSecret(text, cwd);
    const client = createWebhookClient(env);
    const rotated = await client.rotate(name, { keepMs, ...(secret !== undefined && { secret }) });
    if (json) return ui.json(rotated);
    const old = keepMs === 0 ? 'the old ones count no more' : `the old ones count for ${formatMs(keepMs)} more`;
    ui.out(`${ui.paint('green', '✓')} ${rotated.webhook.name} has another secret; ${old}.`);
    showSetUp(ui, client.origin, rotated);
  },
});
