import { WaferError } from '../../../core/errors.ts';
import { command, jsonFlag } from '../../command.ts';
import { createWebhookClient } from '../../webhook-client.ts';
import { readSecret, readSettings, secretFlag, settingFlags, webhookArgument } from '../../webhooks/flags.ts';
import { showSetUp } from '../../webhooks/show.ts';

export default command({
  name: 'webhook update',
  about: 'Changes a webhook; its URL stays. Another scheme needs another secret. "rotate" replaces a secret gently.',
  args: {
    ...webhookArgument,
    function: { type: 'string', alias: 'f', valueHint: 'NAME', description: 'Function to call' },
    ...settingFlags,
    ...secretFlag,
    ...jsonFlag,
  },
  examples: [
    ['wafer webhook update pushes -e push -e release', 'run only these events'],
    ['wafer webhook update pushes -f build2', 'call another function from now on'],
  ],
  run: async (args, { ui, env, cwd, rawArgs }) => {
    const secret = await readSecret(args.secret, cwd);
    const changes = {
      ...readSettings(args, rawArgs),
      ...(args.function !== undefined && { functionName: args.function }),
      ...(secret !== undefined && { secret }),
    };
    if (Object.keys(changes).length === 0) throw new WaferError('usage', 'Nothing to change: give a flag.');
    const client = createWebhookClient(env);
    const changed = await client.change(args.webhook, changes);
    if (args.json) return ui.json(changed);
    ui.out(`${ui.paint('green', '✓')} ${changed.webhook.name} is changed.`);
    showSetUp(ui, client.origin, changed);
  },
});
