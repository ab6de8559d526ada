import { WaferError } from '../../../core/errors.ts';
import { command, jsonFlag } from '../../command.ts';
import { createWebhookClient } from '../../webhook-client.ts';
import { readSecret, readSettings, secretFlag, settingFlags } from '../../webhooks/flags.ts';
import { showSetUp } from '../../webhooks/show.ts';

export default command({
  name: 'webhook add',
  about: 'Makes a webhook: a URL for a sender of events, whose deliveries become invocations of a function.',
  args: {
    webhook: { type: 'positional', valueHint: 'NAME', description: 'Its name', required: true },
    function: { type: 'string', alias: 'f', valueHint: 'NAME', required: true, description: 'Function to call' },
    ...settingFlags,
    ...secretFlag,
    disabled: { type: 'boolean', description: 'Make it, and take no deliveries yet' },
    ...jsonFlag,
  },
  examples: [
    ['wafer webhook add pushes -f build --scheme github -e push', 'prints the URL and a new secret for GitHub'],
    ['wafer webhook add pay -f paid --scheme stripe --secret @whsec.txt', 'with the secret that Stripe made'],
    [
      'wafer webhook add crm -f sync --scheme hmac --header x-hub-signature-256 --prefix sha256=',
      'any sender that signs with HMAC',
    ],
  ],
  run: async (args, { ui, env, cwd, rawArgs }) => {
    const { scheme, ...settings } = readSettings(args, rawArgs);
    if (scheme === undefined) {
      throw new WaferError('usage', '--scheme is missing: how does the sender prove that a delivery is its own?', {
        hint: '"wafer webhook add --help" lists the schemes; "none" believes whoever knows the URL.',
      });
    }
    const secret = await readSecret(args.secret, cwd);
    const client = createWebhookClient(env);
    const made = await client.create({
      name: args.webhook,
      functionName: args.function,
      scheme,
      ...settings,
      ...(secret !== undefined && { secret }),
      ...(args.disabled === true && { disabled: true }),
    });
    if (args.json) return ui.json(made);
    ui.out(`${ui.paint('green', '✓')} ${made.webhook.name} calls ${made.webhook.functionName} (${scheme}).`);
    showSetUp(ui, client.origin, made);
  },
});
