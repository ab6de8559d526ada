import { WaferError } from '../../core/errors.ts';
import { command } from '../command.ts';
import { forEach } from '../containers/arguments.ts';
import { createFinder, whichFlags } from '../containers/which.ts';
import { createImageClient } from '../image-client.ts';

export default command({
  name: 'inspect',
  about: 'Prints everything about containers, functions or images as JSON.',
  args: {
    name: { type: 'positional', description: 'Container, function or image', required: true },
    ...whichFlags,
    image: { type: 'boolean', description: 'The image of that name' },
  },
  many: true,
  examples: [
    ['wafer inspect web', 'its state, its settings, its ports'],
    ["wafer inspect web | jq -r '.[0].ports[0].hostPort'", 'one value'],
  ],
  run: async ({ image, ...which }, { ui, env, positionals }) => {
    const finder = createFinder(env);
    const images = createImageClient(env);
    const found: unknown[] = [];
    const code = await forEach(positionals, ui, async (name) => {
      if (image) return found.push(await images.inspect(name));
      try {
        const named = await finder.find(name, which);
        found.push(named.kind === 'function' ? named.detail : named.container);
      } catch (error) {
        if (!(error instanceof WaferError) || error.code !== 'not_found') throw error;
        found.push(
          await images.inspect(name).catch(() => {
            throw new WaferError('not_found', `There is no container, function or image ${name}.`);
          }),
        );
      }
    });
    ui.json(found);
    return code;
  },
});
