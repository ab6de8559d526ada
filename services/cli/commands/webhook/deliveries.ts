import { VERDICTS } from '../../../core/triggers/webhooks/types.ts';
import { command, jsonFlag } from '../../command.ts';
import { parseCount } from '../../numbers.ts';
import { createWebhookClient } from '../../webhook-client.ts';
import { choice, webhookArgument } from '../../webhooks/flags.ts';
import { showDeliveries } from '../../webhooks/show.ts';

const DEFAULT_MOST = 50;

export default command({
  name: 'webhook deliveries',
  about: 'Lists what came to a webhook, newest first, also what was refused; kept for 7 days, the newest 1,000.',
  args: {
    ...webhookArgument,
    verdict: { type: 'string', valueHint: 'VERDICT', description: `Only these: ${VERDICTS.join(', ')}` },
    limit: { type: 'string', alias: 'n', valueHint: 'COUNT', description: `At most so many (default ${DEFAULT_MOST})` },
    ...jsonFlag,
  },
  examples: [
    ['wafer webhook deliveries pushes', 'a table'],
    ['wafer webhook deliveries pushes --verdict bad_signature', 'who has another secret?'],
  ],
  run: async ({ webhook: name, verdict, limit, json }, { ui, env }) => {
    const most = limit === undefined ? DEFAULT_MOST : parseCount('--limit', limit);
    const only = choice('--verdict', verdict, VERDICTS);
    const deliveries = await createWebhookClient(env).deliveries(name, { most, verdict: only });
    if (json) return ui.json(deliveries);
    if (deliveries.length > 0) return showDeliveries(ui, deliveries, Date.now());
    ui.out(only === undefined ? `Nothing came yet. Try it: wafer webhook test ${name}` : `None was ${only}.`);
  },
});
