import { createReadStream } from 'node:fs';
import { access } from 'node:fs/promises';
import { resolve } from 'node:path';
import { WaferError } from '../../../core/errors.ts';
import { command } from '../../command.ts';
import { createVolumeClient } from '../../volume-client.ts';
import { volumeArgument } from './arguments.ts';

export default command({
  name: 'volume import',
  about: 'Unpacks a tar into a volume: files of the same names are replaced, others stay.',
  args: {
    ...volumeArgument,
    file: {
      type: 'positional',
      description: 'A tar, or - for stdin',
      valueHint: 'FILE',
      required: false,
      default: '-',
    },
    path: {
      type: 'string',
      valueHint: '/PATH',
      default: '/',
      description: 'Directory in the volume; it must be there',
    },
  },
  examples: [
    ['wafer volume import reports reports.tar', 'from a file'],
    ['wafer volume export a | wafer volume import b', 'from another volume'],
  ],
  run: async ({ name, file, path }, { ui, env, cwd }) => {
    if (file === '-' && process.stdin.isTTY === true) throw new WaferError('usage', 'There is no tar on stdin.');
    const full = resolve(cwd, file);
    if (file !== '-')
      await access(full).catch((cause: unknown) => {
        throw new WaferError('usage', `${full} can not be read.`, { cause });
      });
    await createVolumeClient(env).writeFiles(name, path, file === '-' ? process.stdin : createReadStream(full));
    ui.err(`${ui.paintErr('green', '✓')} ${file === '-' ? 'The tar' : file} is in ${name}.`);
  },
});
