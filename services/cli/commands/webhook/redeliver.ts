import { WaferError } from '../../../core/errors.ts';
import { command } from '../../command.ts';
import { createWebhookClient } from '../../webhook-client.ts';
import { webhookArgument } from '../../webhooks/flags.ts';
import { parseMoment } from '../../webhooks/moment.ts';

export default command({
  name: 'webhook redeliver',
  about:
    'Runs deliveries that were taken once more, as the webhook is set now: some, or all of a time (at most 1,000).',
  args: {
    ...webhookArgument,
    delivery: { type: 'positional', required: false, description: 'Ids of deliveries' },
    since: {
      type: 'string',
      valueHint: 'WHEN',
      description: 'All from then on: 2h (ago), or 2026-12-24T18:00:00+01:00',
    },
    until: { type: 'string', valueHint: 'WHEN', description: 'And before then; default: now' },
  },
  many: true,
  examples: [
    ['wafer webhook redeliver pushes dlv_...', 'one'],
    ['wafer webhook redeliver pushes --since 2h --until 1h', 'all of an hour, oldest first'],
  ],
  run: async ({ webhook: name, since, until }, { ui, env, positionals }) => {
    const ids = positionals.slice(1);
    if (ids.length > 0 === (since !== undefined) || (until !== undefined && since === undefined))
      throw new WaferError('usage', 'Say which deliveries: ids, or --since WHEN.', {
        hint: `"wafer webhook deliveries ${name}" lists them.`,
      });
    const client = createWebhookClient(env);
    const done = ui.paint('green', '✓');
    if (since === undefined) {
      for (const id of ids) ui.out(`${done} ${(await client.redeliver(name, id)).id} runs again.`);
      return;
    }
    const now = Date.now();
    const range = {
      since: parseMoment('--since', since, now),
      ...(until !== undefined && { until: parseMoment('--until', until, now) }),
    };
    const { redelivered, isCut } = await client.redeliverRange(name, range);
    ui.out(`${done} ${redelivered === 1 ? '1 delivery runs' : `${redelivered} deliveries run`} again.`);
    if (isCut) ui.err('There are more; go on with a later --since.');
  },
});
