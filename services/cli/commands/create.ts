import { command, jsonFlag } from '../command.ts';
import { createContainerClient } from '../container-client.ts';
import { findImage } from '../containers/find-image.ts';
import { containerFlags, containerRequest } from '../containers/options.ts';

export default command({
  name: 'create',
  about: 'Makes a container of an image without starting it, and prints its id.',
  args: { ...containerFlags, ...jsonFlag },
  rest: { after: 1, label: '[COMMAND...]', about: "Program and arguments, instead of the image's; flags of its own" },
  examples: [
    ['wafer create --name job debian12 sh -c "date > /stamp"', 'start it later: wafer start job'],
    ['wafer create -i -t --name shell debian12 sh', 'wafer start -a -i shell goes in'],
  ],
  run: async (flags, context) => {
    const { ui, env } = context;
    const request = containerRequest(flags, context);
    await findImage(flags.image, flags.pull, ui, env);
    const container = await createContainerClient(env).create(request);
    if (flags.json) ui.json(container);
    else ui.out(container.id);
  },
});
