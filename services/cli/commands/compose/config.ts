import { command } from '../../command.ts';
import { openProject, projectFlags } from '../../compose/arguments.ts';
import { startOrder } from '../../compose/depends-on.ts';
import { requestOf } from '../../compose/labels.ts';

export default command({
  name: 'compose config',
  about:
    'Checks a compose file and prints the project as it is understood, as JSON: variables put in, services in the order of their start.',
  args: {
    quiet: { type: 'boolean', alias: 'q', description: 'Only check' },
    services: { type: 'boolean', description: 'Only the names of the services' },
    ...projectFlags,
  },
  examples: [['wafer compose config -q && wafer compose up -d', 'only when the file is right']],
  run: async (flags, context) => {
    const { ui } = context;
    const project = openProject(flags, context);
    if (flags.quiet) return;
    const services = startOrder(project.services);
    if (flags.services) {
      for (const { name } of services) ui.out(name);
      return;
    }
    ui.json({
      name: project.name,
      file: project.path,
      services: services.map((service) => ({
        service: service.name,
        dependsOn: service.dependsOn.map(({ service: name, condition }) => ({ service: name, condition })),
        ...(service.build === undefined ? {} : { build: service.build }),
        container: requestOf(project, service),
      })),
    });
  },
});
