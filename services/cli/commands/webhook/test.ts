import { SAMPLE_SENDERS } from '../../../core/triggers/webhooks/types.ts';
import { command, jsonFlag } from '../../command.ts';
import { createWebhookClient } from '../../webhook-client.ts';
import { choice, webhookArgument } from '../../webhooks/flags.ts';

export default command({
  name: 'webhook test',
  about: 'Sends a sample event, signed as the scheme of the webhook has it, through all that a delivery goes through.',
  args: {
    ...webhookArgument,
    as: {
      type: 'string',
      valueHint: SAMPLE_SENDERS.join('|'),
      description: "Whose event; default: that of the webhook's scheme",
    },
    ...jsonFlag,
  },
  examples: [
    ['wafer webhook test pushes', 'an event of its own scheme'],
    ['wafer webhook test inbox --as github', 'an opened pull request, signed for this webhook'],
  ],
  run: async ({ webhook: name, as, json }, { ui, env }) => {
    const result = await createWebhookClient(env).test(name, choice('--as', as, SAMPLE_SENDERS));
    const { status, answer } = result;
    if (json) ui.json(result);
    else if (status < 400)
      ui.out(`${ui.paint('green', '✓')} ${status} ${answer.verdict}  ${answer.delivery ?? ''}`.trimEnd());
    else ui.out(`${ui.paint('red', '✗')} ${status} ${answer.code}: ${answer.detail}`);
    if (!json && answer.verdict === 'accepted')
      ui.err(`What becomes of it: wafer webhook show ${name} ${answer.delivery}`);
    if (!json && answer.verdict === 'filtered')
      ui.err('Its type is none of the events of this webhook, so it does not run.');
    return status < 400 ? 0 : 1;
  },
});
