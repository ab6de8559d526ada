import { command } from '../../command.ts';
import { createInvocationClient } from '../../invocation-client.ts';
import logs from '../logs.ts';

export default command({
  name: 'invocations logs',
  about: 'Prints what one invocation wrote to stdout and stderr, all attempts, oldest first.',
  args: {
    id: { type: 'positional', description: 'Id of the invocation', required: true },
    follow: { type: 'boolean', alias: 'f', description: 'Go on with new lines as they come' },
    json: { type: 'boolean', description: 'Print one JSON object a line, for programs' },
  },
  examples: [['wafer invocations logs ID', 'one invocation']],
  run: async ({ id, follow, json }, context) => {
    const { functionName } = await createInvocationClient(context.env).get(id);
    const flags = [...(follow ? ['--follow'] : []), ...(json ? ['--json'] : [])];
    return logs.run([functionName, '--invocation', id, ...flags], context);
  },
});
