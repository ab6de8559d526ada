import { WaferError } from '../../../core/errors.ts';
import { TARGETS } from '../../../core/triggers/callbacks/types.ts';
import { command, jsonFlag } from '../../command.ts';
import { createInvocationClient } from '../../invocation-client.ts';

export default command({
  name: 'invocations redeliver',
  about: 'Delivers once more what follows an invocation, now and under the same webhook-id.',
  args: {
    id: { type: 'positional', description: 'Id of the invocation', required: true },
    target: {
      type: 'positional',
      description: 'callback, onSuccess or onFailure (default: the only one)',
      required: false,
    },
    ...jsonFlag,
  },
  examples: [
    ['wafer invocations redeliver ID', 'when only one thing follows it'],
    ['wafer invocations redeliver ID onFailure', 'that one'],
  ],
  run: async ({ id, target, json }, { ui, env }) => {
    const client = createInvocationClient(env);
    if (target !== undefined && !TARGETS.some((known) => known === target))
      throw new WaferError('usage', `${target} is not one of ${TARGETS.join(', ')}.`);
    const delivery = await client.redeliver(id, target ?? (await only(client, id)));
    if (json) return ui.json(delivery);
    ui.out(`${ui.paint('green', '✓')} ${delivery.target} is sent to ${delivery.to} now.`);
    if (ui.stderrIsTty) ui.err(`How it goes: wafer invocations deliveries ${id}`);
  },
});

async function only(client: ReturnType<typeof createInvocationClient>, id: string): Promise<string> {
  const found = await client.deliveries(id);
  const [first] = found;
  if (first !== undefined && found.length === 1) return first.target;
  const what = found.length === 0 ? 'Nothing follows it, or it has not ended.' : `${found.length} things follow it.`;
  throw new WaferError('usage', what, {
    ...(found.length > 0 && { hint: `Say which one: ${found.map((one) => one.target).join(', ')}.` }),
  });
}
