import { command } from '../../command.ts';
import { createInvocationClient } from '../../invocation-client.ts';
import { chooseDeadLetters } from '../../invocations/choose.ts';
import { showRedriven } from '../../invocations/redriven.ts';

export default command({
  name: 'dlq redrive',
  about: 'Runs dead letters again, each as a new invocation with the stored request; at most 1,000 at once.',
  args: {
    id: { type: 'positional', description: 'Ids of invocations', required: false },
    function: { type: 'string', alias: 'f', valueHint: 'NAME', description: 'All of this function' },
    all: { type: 'boolean', description: 'All there are' },
  },
  many: true,
  examples: [
    ['wafer dlq redrive ID', 'one'],
    ['wafer dlq redrive -f report', 'all of a function'],
  ],
  run: async ({ function: name, all }, { ui, env, positionals }) =>
    showRedriven(ui, await createInvocationClient(env).redrive(chooseDeadLetters(positionals, name, all === true))),
});
