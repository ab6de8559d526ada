import { WaferError } from '../../../core/errors.ts';
import { command } from '../../command.ts';
import { readPlace } from '../../files/place.ts';
import { createVolumeClient } from '../../volume-client.ts';

export default command({
  name: 'volume cat',
  about: 'Prints a file of a volume.',
  args: { file: { type: 'positional', description: 'The file', valueHint: 'NAME:/path', required: true } },
  examples: [['wafer volume cat reports:/latest.csv', 'to the terminal, or into another program']],
  run: async ({ file }, { ui, env }) => {
    const place = readPlace(file);
    if (place.kind !== 'inside')
      throw new WaferError('usage', `${file} is no file of a volume.`, { hint: 'Write NAME:/path.' });
    const { body } = await createVolumeClient(env).content(place.container, place.path);
    for await (const chunk of body as AsyncIterable<Buffer>) await ui.raw(chunk);
  },
});
