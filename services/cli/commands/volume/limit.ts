import { WaferError } from '../../../core/errors.ts';
import { command, jsonFlag } from '../../command.ts';
import { parseBytes, parseCount } from '../../numbers.ts';
import { createVolumeClient } from '../../volume-client.ts';
import { limitFlags, volumeArgument } from './arguments.ts';

const unless = <T>(text: string, parse: (text: string) => T): T | null => (text === 'none' ? null : parse(text));

export default command({
  name: 'volume limit',
  about: 'Changes what a volume may take; "none" takes a limit away.',
  args: { ...volumeArgument, ...limitFlags, ...jsonFlag },
  examples: [
    ['wafer volume limit reports --size 2g', 'more than before'],
    ['wafer volume limit reports --inodes none', 'as many files as the disk has room for'],
  ],
  run: async ({ name, size, inodes, json }, { ui, env }) => {
    if (size === undefined && inodes === undefined)
      throw new WaferError('usage', 'Nothing is to be changed.', { hint: 'Give --size or --inodes.' });
    const volume = await createVolumeClient(env).setLimits(name, {
      ...(size === undefined ? {} : { maxBytes: unless(size, (text) => parseBytes('--size', text)) }),
      ...(inodes === undefined ? {} : { maxEntries: unless(inodes, (text) => parseCount('--inodes', text)) }),
    });
    if (json) return ui.json(volume);
    ui.out(`${ui.paint('green', '✓')} The limits of ${name} are changed.`);
  },
});
