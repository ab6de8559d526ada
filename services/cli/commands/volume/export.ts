import { command } from '../../command.ts';
import { assertNotTerminal, writeTar } from '../../tar-output.ts';
import { createVolumeClient } from '../../volume-client.ts';
import { refArgument } from './arguments.ts';

export default command({
  name: 'volume export',
  about: 'Writes all that is in a volume, or in a snapshot, as a tar.',
  args: {
    ...refArgument,
    output: { type: 'string', alias: 'o', valueHint: 'FILE', description: 'File to write; without it stdout' },
  },
  examples: [
    ['wafer volume export reports -o reports.tar', 'into a file'],
    ['wafer volume export reports@monday | gzip > monday.tar.gz', 'of a snapshot'],
  ],
  run: async ({ name, output }, context) => {
    assertNotTerminal(output, context);
    const { body } = await createVolumeClient(context.env).readFiles(name, '/');
    await writeTar(body, output, name, context);
  },
});
