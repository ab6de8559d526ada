import { command, jsonFlag } from '../../command.ts';
import { findContainers, projectFlags, servicesArgument } from '../../compose/arguments.ts';
import { commandText, portText, statusText } from '../../containers/show.ts';
import { safeText } from '../../format.ts';

export default command({
  name: 'compose ps',
  about: 'Lists the containers of the project, those that have ended, too.',
  args: {
    ...servicesArgument,
    quiet: { type: 'boolean', alias: 'q', description: 'Only the ids' },
    all: { type: 'boolean', alias: 'a', description: 'Is always so' },
    ...projectFlags,
    ...jsonFlag,
  },
  many: true,
  examples: [['wafer compose ps', 'what runs, and where its ports are']],
  run: async (flags, context) => {
    const { ui, positionals } = context;
    const { name, containers } = await findContainers(flags, positionals, context);
    if (flags.json) return ui.json(containers.map(({ service, container }) => ({ service, ...container })));
    if (flags.quiet) {
      for (const { container } of containers) ui.out(container.id);
      return;
    }
    if (containers.length === 0) return ui.out(`The project ${name} has no containers. "wafer compose up" makes them.`);
    const now = Date.now();
    ui.table(
      [
        { header: 'SERVICE', style: 'bold' },
        { header: 'NAME' },
        { header: 'IMAGE' },
        { header: 'COMMAND' },
        { header: 'STATUS' },
        { header: 'PORTS' },
      ],
      containers.map(({ service, container }) => [
        service,
        container.name,
        safeText(container.config.image),
        commandText(container.argv),
        statusText(container, now),
        portText(container),
      ]),
    );
  },
});
