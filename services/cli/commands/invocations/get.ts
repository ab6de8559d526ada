import { command, jsonFlag } from '../../command.ts';
import { createInvocationClient } from '../../invocation-client.ts';
import { showInvocation } from '../../invocations/show.ts';

export default command({
  name: 'invocations get',
  about: 'Shows one invocation: its state, every attempt and why it failed, and what it answered.',
  args: { id: { type: 'positional', description: 'Id of the invocation', required: true }, ...jsonFlag },
  examples: [
    ['wafer invocations get ID', 'for people'],
    ['wafer invocations get ID --json | jq .state', 'for programs'],
  ],
  run: async ({ id, json }, { ui, env }) => {
    const invocation = await createInvocationClient(env).get(id);
    if (json) return ui.json(invocation);
    showInvocation(ui, invocation, Date.now());
  },
});
