import { command, jsonFlag } from '../command.ts';
import { createContainerClient } from '../container-client.ts';
import { containerArgument } from '../containers/arguments.ts';
import { repeated } from '../repeated.ts';

export default command({
  name: 'commit',
  about: 'Makes an image of a container: its writable layer becomes one more layer. Volumes are not in it.',
  args: {
    ...containerArgument,
    image: { type: 'positional', description: 'Name of the new image', required: false },
    message: { type: 'string', alias: 'm', description: 'For the history' },
    author: { type: 'string', alias: 'a', valueHint: 'NAME', description: 'For the image' },
    change: {
      type: 'string',
      alias: 'c',
      valueHint: 'LINE',
      description: 'Dockerfile line like CMD ["x"]; may be repeated',
    },
    ...jsonFlag,
  },
  examples: [
    ['wafer commit shell team/tools:v2 -m "with jq"', 'what was installed by hand is kept'],
    ["wafer commit -c 'CMD [\"serve\"]' -c 'ENV MODE=fast' web", 'with other settings'],
  ],
  run: async ({ container, image, message, author, json }, { ui, env, rawArgs }) => {
    const result = await createContainerClient(env).commit(container, {
      ...(image === undefined ? {} : { tag: image }),
      ...(message === undefined ? {} : { message }),
      ...(author === undefined ? {} : { author }),
      changes: repeated(rawArgs, ['--change', '-c']),
    });
    if (json) return ui.json(result);
    if (result.tags.length > 0) ui.err(`${ui.paintErr('green', '✓')} ${ui.paintErr('bold', result.tags.join(', '))}`);
    ui.out(result.digest);
  },
});
