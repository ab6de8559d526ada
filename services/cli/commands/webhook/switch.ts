/** `disable` and `enable` are one command with two names. */
import { command, jsonFlag } from '../../command.ts';
import { createWebhookClient } from '../../webhook-client.ts';
import { webhookArgument } from '../../webhooks/flags.ts';

export const switchCommand = (verb: 'disable' | 'enable', about: string, meaning: string) =>
  command({
    name: `webhook ${verb}`,
    about,
    args: { ...webhookArgument, ...jsonFlag },
    examples: [[`wafer webhook ${verb} pushes`, meaning]],
    run: async ({ webhook: name, json }, { ui, env }) => {
      const { webhook } = await createWebhookClient(env).change(name, { disabled: verb === 'disable' });
      if (json) return ui.json(webhook);
      ui.out(`${ui.paint('green', '✓')} ${webhook.name} is ${verb}d.`);
    },
  });
