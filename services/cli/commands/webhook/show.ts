import { command, jsonFlag } from '../../command.ts';
import { createWebhookClient } from '../../webhook-client.ts';
import { webhookArgument } from '../../webhooks/flags.ts';
import { showDelivery, showWebhook } from '../../webhooks/show.ts';

export default command({
  name: 'webhook show',
  about: 'Shows a webhook, or one of its deliveries: verdict, headers, body, and the invocations that it became.',
  args: {
    ...webhookArgument,
    delivery: { type: 'positional', required: false, description: 'Id of a delivery' },
    ...jsonFlag,
  },
  examples: [
    ['wafer webhook show pushes', 'its URL, scheme and secrets (their fingerprints)'],
    ['wafer webhook show pushes dlv_...', 'what came, byte for byte'],
  ],
  run: async ({ webhook: name, delivery: id, json }, { ui, env }) => {
    const client = createWebhookClient(env);
    if (id !== undefined) {
      const delivery = await client.delivery(name, id);
      return json ? ui.json(delivery) : showDelivery(ui, delivery);
    }
    const webhook = await client.get(name);
    if (json) ui.json(webhook);
    else showWebhook(ui, client.origin, webhook, Date.now());
  },
});
