import { command, jsonFlag } from '../../command.ts';
import { createInvocationClient } from '../../invocation-client.ts';
import { showInvocations } from '../../invocations/show.ts';
import { parseCount } from '../../numbers.ts';

export default command({
  name: 'dlq ls',
  about: 'Lists what failed for good or expired, and was neither redriven nor purged.',
  args: {
    function: { type: 'string', alias: 'f', valueHint: 'NAME', description: 'Only those of this function' },
    limit: { type: 'string', alias: 'n', valueHint: 'COUNT', description: 'At most so many (default 50)' },
    ...jsonFlag,
  },
  examples: [['wafer dlq ls -f report', 'of one function']],
  run: async ({ function: name, limit, json }, { ui, env }) => {
    const most = limit === undefined ? undefined : parseCount('--limit', limit);
    const invocations = await createInvocationClient(env).deadLetters({ function: name, limit: most });
    if (json) return ui.json(invocations);
    if (invocations.length === 0) return ui.out('There is no dead letter.');
    showInvocations(ui, invocations, Date.now());
  },
});
