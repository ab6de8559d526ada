import { command } from '../../command.ts';
import { copyFiles } from '../../files/copy.ts';
import { createVolumeClient } from '../../volume-client.ts';

export default command({
  name: 'volume cp',
  about:
    'Copies files between a volume and this machine. Into a directory that exists, else under the new name; DIR/. is the content of a directory. "-" is a tar on stdin or stdout.',
  args: {
    from: { type: 'positional', description: 'NAME:/path, a local path, or -', required: true },
    to: { type: 'positional', description: 'NAME:/path, a local path, or -', required: true },
    links: { type: 'boolean', description: 'Make links that lead out of the copy, too' },
  },
  examples: [
    ['wafer volume cp reports:/chart.svg .', 'out of a volume'],
    ['wafer volume cp seed.db counter:/', 'into a volume; with transactions it is one'],
    ['wafer volume cp reports@monday:/. ./monday', 'all of a snapshot'],
  ],
  run: ({ from, to, links }, context) =>
    copyFiles(
      createVolumeClient(context.env),
      { from, to, links: links === true, inside: 'a volume', command: 'wafer volume cp' },
      context,
    ),
});
