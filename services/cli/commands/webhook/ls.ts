import { command, jsonFlag } from '../../command.ts';
import { createWebhookClient } from '../../webhook-client.ts';
import { showWebhooks } from '../../webhooks/show.ts';

export default command({
  name: 'webhook ls',
  about: 'Lists the webhooks with their URLs.',
  args: { ...jsonFlag },
  examples: [['wafer webhook ls', 'a table']],
  run: async ({ json }, { ui, env }) => {
    const client = createWebhookClient(env);
    const webhooks = await client.list();
    if (json) return ui.json(webhooks);
    if (webhooks.length > 0) return showWebhooks(ui, client.origin, webhooks);
    ui.out('There are no webhooks. Make one: wafer webhook add NAME --function FUNCTION --scheme github');
  },
});
