import { command } from '../../command.ts';
import { findContainers, projectFlags } from '../../compose/arguments.ts';
import { stopProject } from '../../compose/stop.ts';
import { readFlag, readWhole } from '../../containers/parse.ts';

export default command({
  name: 'compose down',
  about:
    'Stops the services, each before those it depends on, and removes their containers with their anonymous volumes. Named volumes stay: there is no command that removes one yet.',
  args: {
    volumes: { type: 'boolean', alias: 'v', description: 'Named volumes can not be removed yet: says which stay' },
    time: {
      type: 'string',
      alias: 't',
      valueHint: 'SECONDS',
      description: "From the stop signal to KILL; default each container's own",
    },
    ...projectFlags,
  },
  examples: [
    ['wafer compose down', 'containers go, named volumes stay'],
    ['wafer compose -p shop down', 'by the name, without the file'],
  ],
  run: async (flags, context) => {
    const { ui } = context;
    const timeoutSeconds =
      flags.time === undefined ? undefined : readFlag('--time', () => readWhole(flags.time ?? '', 0));
    const { client, name, containers } = await findContainers(flags, [], context);
    await stopProject({
      client,
      containers,
      timeoutSeconds,
      remove: true,
      onStopped: ({ service }) => ui.err(`${ui.paintErr('green', '✓')} ${service.padEnd(12)} removed`),
    });
    if (containers.length === 0) ui.err(`The project ${name} has no containers.`);
    const volumes = containers.flatMap(({ container }) => container.config.mounts.map(({ volume }) => volume));
    const kept = [...new Set(volumes.filter((volume) => volume !== null))];
    if (!flags.volumes || kept.length === 0) return 0;
    ui.err(
      `${ui.paintErr('yellow', 'warning:')} Named volumes can not be removed yet; these stay: ${kept.join(', ')}.`,
    );
    return 1;
  },
});
