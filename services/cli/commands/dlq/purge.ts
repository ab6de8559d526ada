import { command } from '../../command.ts';
import { count } from '../../format.ts';
import { createInvocationClient } from '../../invocation-client.ts';
import { chooseDeadLetters } from '../../invocations/choose.ts';

export default command({
  name: 'dlq purge',
  about: 'Takes dead letters off the list; their records stay as long as all others.',
  args: {
    id: { type: 'positional', description: 'Ids of invocations', required: false },
    function: { type: 'string', alias: 'f', valueHint: 'NAME', description: 'All of this function' },
    all: { type: 'boolean', description: 'All there are' },
  },
  many: true,
  examples: [['wafer dlq purge --all', 'begin anew']],
  run: async ({ function: name, all }, { ui, env, positionals }) => {
    const purged = await createInvocationClient(env).purge(chooseDeadLetters(positionals, name, all === true));
    ui.out(`${ui.paint('green', '✓')} ${count(purged.length, 'dead letter')} purged.`);
  },
});
