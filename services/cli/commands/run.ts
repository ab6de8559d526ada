import { command } from '../command.ts';
import { type ContainerClient, createContainerClient } from '../container-client.ts';
import { attachTo, detachFlag, needsTerminal } from '../containers/attached.ts';
import { programExit } from '../containers/exit-codes.ts';
import { findImage } from '../containers/find-image.ts';
import { containerFlags, containerRequest } from '../containers/options.ts';

export default command({
  name: 'run',
  about:
    "Makes a container of an image and starts it. Without -d it stays attached, and its exit code is the program's: 125 says that Wafer failed, 126 that the program can not be run, 127 that it is not there.",
  args: {
    ...containerFlags,
    detach: { type: 'boolean', alias: 'd', description: 'Print its id and let it run' },
    ...detachFlag,
  },
  rest: { after: 1, label: '[COMMAND...]', about: "Program and arguments, instead of the image's; flags of its own" },
  examples: [
    ["wafer run -it debian12 sh -c 'id; exec sh'", 'a shell with a terminal; ctrl-p ctrl-q leaves it running'],
    ['wafer run --rm -i debian12 wc -l < file', 'a pipe through a program'],
    ['wafer run -d --name web -p 8080:80 --network public team/web', 'a server on http://127.0.0.1:8080'],
    ['wafer run --rm -v data:/data -e MODE=fast debian12 ls /data', 'with a named volume and a variable'],
  ],
  errorExit: programExit,
  run: async (flags, context) => {
    const { ui, env } = context;
    const request = containerRequest(flags, context);
    if (!flags.detach && request.terminal && request.stdin) needsTerminal('run');
    await findImage(flags.image, flags.pull, ui, env);
    const client = createContainerClient(env);
    const container = await client.create(request);
    if (flags.detach) {
      await client.start(container.id);
      ui.out(container.id);
      return 0;
    }
    try {
      return await attachTo({
        client,
        container,
        ui,
        stdin: true,
        detachKeys: flags['detach-keys'],
        logs: false,
        start: true,
        forward: true,
      });
    } catch (error) {
      await dropUnstarted(client, container.id, flags.rm === true);
      throw error;
    }
  },
});

/** `--rm` removes at the end of a run; what never ran has none. */
async function dropUnstarted(client: ContainerClient, id: string, isTemporary: boolean): Promise<void> {
  if (!isTemporary) return;
  try {
    const { status, startedAt } = await client.get(id);
    if (status === 'created' || startedAt === null) await client.remove(id, true);
  } catch {
    // The failure that led here is the one to tell.
  }
}
