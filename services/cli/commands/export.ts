import { command } from '../command.ts';
import { createContainerClient } from '../container-client.ts';
import { containerArgument } from '../containers/arguments.ts';
import { assertNotTerminal, writeTar } from '../tar-output.ts';

export default command({
  name: 'export',
  about: 'Writes the whole file system of a container as one tar, without its volumes.',
  args: {
    ...containerArgument,
    output: { type: 'string', alias: 'o', valueHint: 'FILE', description: 'File to write; without it stdout' },
  },
  examples: [
    ['wafer export web -o web.tar', 'into a file'],
    ['wafer export web | tar -t', 'into another program'],
  ],
  run: async ({ container, output }, context) => {
    assertNotTerminal(output, context);
    const { body } = await createContainerClient(context.env).export(container);
    await writeTar(body, output, container, context);
  },
});
