import { command } from '../command.ts';
import { createContainerClient } from '../container-client.ts';
import { copyFiles } from '../files/copy.ts';

export default command({
  name: 'cp',
  about:
    'Copies files between a container, running or not, and this machine. Into a directory that exists, else under the new name; DIR/. is the content of a directory. "-" is a tar on stdin or stdout.',
  args: {
    from: { type: 'positional', description: 'NAME:/path, a local path, or -', required: true },
    to: { type: 'positional', description: 'NAME:/path, a local path, or -', required: true },
    links: { type: 'boolean', description: 'Make links that lead out of the copy, too' },
  },
  examples: [
    ['wafer cp web:/var/log ./logs', 'out of a container'],
    ['wafer cp config.json web:/etc/app/', 'into a container'],
    ['wafer cp web:/data - | gzip > data.tar.gz', 'as a tar'],
  ],
  run: ({ from, to, links }, context) =>
    copyFiles(
      createContainerClient(context.env),
      { from, to, links: links === true, inside: 'a container', command: 'wafer cp' },
      context,
    ),
});
