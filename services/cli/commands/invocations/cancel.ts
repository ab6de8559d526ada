import { command } from '../../command.ts';
import { createInvocationClient } from '../../invocation-client.ts';

export default command({
  name: 'invocations cancel',
  about: 'Stops accepted invocations: one that waits never runs, one that runs is asked to stop.',
  args: { id: { type: 'positional', description: 'Ids of invocations', required: true } },
  many: true,
  examples: [['wafer invocations cancel ID', 'one']],
  run: async (_args, { ui, env, positionals }) => {
    const client = createInvocationClient(env);
    for (const id of positionals) {
      const { state } = await client.cancel(id);
      if (state === 'cancelled') ui.out(`${ui.paint('green', '✓')} ${id} is cancelled.`);
      else if (state === 'running') ui.out(`${id} runs; it was asked to stop.`);
      else ui.out(`${id} had ended before: it ${state === 'succeeded' ? 'succeeded' : `is ${state}`}.`);
    }
  },
});
