import { command } from '../../command.ts';
import { createWebhookClient } from '../../webhook-client.ts';
import { webhookArgument } from '../../webhooks/flags.ts';

export default command({
  name: 'webhook rm',
  about: 'Removes a webhook with its deliveries; its URL is gone for good. Invocations stay.',
  args: { ...webhookArgument },
  examples: [['wafer webhook rm pushes', '"wafer webhook disable pushes" keeps it for later']],
  run: async ({ webhook: name }, { ui, env }) => {
    await createWebhookClient(env).remove(name);
    ui.out(`${ui.paint('green', '✓')} ${name} is removed.`);
  },
});
