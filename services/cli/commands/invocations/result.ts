import { command } from '../../command.ts';
import { createInvocationClient } from '../../invocation-client.ts';

export default command({
  name: 'invocations result',
  about: 'Prints what an accepted invocation answered, byte for byte.',
  args: {
    id: { type: 'positional', description: 'Id of the invocation', required: true },
    request: { type: 'boolean', description: 'What it was asked instead' },
  },
  examples: [
    ['wafer invocations result ID > report.pdf', 'into a file'],
    ['wafer invocations result ID --request', 'the event that it got'],
  ],
  run: async ({ id, request }, { ui, env }) =>
    ui.raw(await createInvocationClient(env).bytes(id, request ? 'request' : 'result')),
});
