import { command, jsonFlag } from '../../command.ts';
import { formatBytes, safeText, shortDigest } from '../../format.ts';
import { createImageClient } from '../../image-client.ts';
import { imageArgument } from './arguments.ts';

const words = (values: readonly string[] | null | undefined) => safeText((values ?? []).join(' '));

export default command({
  name: 'image inspect',
  about: 'Shows one image: what it runs, and its layers, the lowest first.',
  args: { ...imageArgument, ...jsonFlag },
  examples: [
    ['wafer image inspect node24', 'a base image'],
    ['wafer image inspect 3f3f3f3f3f3f --json', 'everything, for a script'],
  ],
  run: async ({ image: name, json }, { ui, env }) => {
    const image = await createImageClient(env).inspect(name);
    if (json) return ui.json(image);
    const { config } = image;
    ui.pairs([
      ['digest', image.digest],
      ['names', safeText(image.tags.join(', ')) || '(none)'],
      ['platform', safeText(`${image.os}/${image.architecture}`)],
      ['size', formatBytes(image.bytes)],
      ['entrypoint', words(config.Entrypoint)],
      ['cmd', words(config.Cmd)],
      ['user', safeText(config.User ?? '')],
      ['workdir', safeText(config.WorkingDir ?? '')],
      ['env', words(config.Env)],
    ]);
    ui.out();
    ui.table(
      [
        { header: 'LAYER' },
        { header: 'PARENT' },
        { header: 'SIZE', align: 'right' },
        { header: 'CREATED BY', style: 'dim' },
      ],
      image.layers.map(({ diffId, parent, bytes, createdBy }) => [
        shortDigest(diffId),
        parent === null ? '-' : shortDigest(parent),
        formatBytes(bytes),
        safeText(createdBy).replaceAll('\n', ' ').slice(0, 80),
      ]),
    );
  },
});
