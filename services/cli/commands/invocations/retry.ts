import { command } from '../../command.ts';
import { createInvocationClient } from '../../invocation-client.ts';
import { showRedriven } from '../../invocations/redriven.ts';

export default command({
  name: 'invocations retry',
  about: 'Runs invocations that failed or expired again, each as a new one; they leave the dead letters.',
  args: { id: { type: 'positional', description: 'Ids of invocations', required: true } },
  many: true,
  examples: [['wafer invocations retry ID', 'the same as wafer dlq redrive ID']],
  run: async (_args, { ui, env, positionals }) =>
    showRedriven(ui, await createInvocationClient(env).redrive({ ids: [...positionals] })),
});
