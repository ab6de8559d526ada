import { command, jsonFlag } from '../command.ts';
import { createContainerClient } from '../container-client.ts';
import { containerArgument } from '../containers/arguments.ts';
import { safeText } from '../format.ts';

const MARKS = { added: ['A', 'green'], changed: ['C', 'yellow'], deleted: ['D', 'red'] } as const;

export default command({
  name: 'diff',
  about: 'Lists what a container changed against its image: A added, C changed, D deleted.',
  args: { ...containerArgument, ...jsonFlag },
  examples: [['wafer diff web', 'what "wafer commit" would keep']],
  run: async ({ container, json }, { ui, env }) => {
    const changes = await createContainerClient(env).changes(container);
    if (json) return ui.json(changes);
    for (const { kind, path } of changes) {
      const [mark, colour] = MARKS[kind];
      ui.out(`${ui.paint(colour, mark)} ${safeText(path).replaceAll('\n', '?')}`);
    }
  },
});
