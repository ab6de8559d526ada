import { command, jsonFlag } from '../../command.ts';
import { createInvocationClient } from '../../invocation-client.ts';
import { showInvocations } from '../../invocations/show.ts';
import { parseCount } from '../../numbers.ts';

export default command({
  name: 'invocations ls',
  about: 'Lists invocations, newest first: calls when they have ended, accepted ones from the first moment.',
  args: {
    function: { type: 'string', alias: 'f', valueHint: 'NAME', description: 'Only those of this function' },
    state: { type: 'string', description: 'Only queued, running, succeeded, failed, cancelled or expired ones' },
    limit: { type: 'string', alias: 'n', valueHint: 'COUNT', description: 'At most so many (default 50)' },
    ...jsonFlag,
  },
  examples: [
    ['wafer invocations ls', 'the newest'],
    ['wafer invocations ls -f report --state failed', 'what went wrong with one function'],
  ],
  run: async ({ function: name, state, limit, json }, { ui, env }) => {
    const most = limit === undefined ? undefined : parseCount('--limit', limit);
    const invocations = await createInvocationClient(env).list({ function: name, state, limit: most });
    if (json) return ui.json(invocations);
    if (invocations.length === 0) return ui.out('There is none.');
    showInvocations(ui, invocations, Date.now());
  },
});
