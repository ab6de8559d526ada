import type { Container } from '../../../core/containers/types.ts';
import { command, type RunContext } from '../../command.ts';
import { checkServices, openProject, projectFlags, servicesArgument } from '../../compose/arguments.ts';
import { withDependencies } from '../../compose/depends-on.ts';
import { runForeground } from '../../compose/foreground.ts';
import { prepareImages } from '../../compose/images.ts';
import { containersOf } from '../../compose/labels.ts';
import { type Change, type OnStarted, startProject } from '../../compose/start.ts';
import type { ComposeProject } from '../../compose/types.ts';
import { type ContainerClient, createContainerClient } from '../../container-client.ts';
import { readFlag, readWhole } from '../../containers/parse.ts';
import { portText } from '../../containers/show.ts';
import type { Ui } from '../../ui.ts';

/** Containers of services that the file has no more. */
async function tellOrphans(project: ComposeProject, client: ContainerClient, remove: boolean, ui: Ui): Promise<void> {
  const all = containersOf(project.name, await client.list(true));
  for (const { service, container } of all.filter((one) => !project.services.has(one.service))) {
    if (remove) {
      await client.stop(container.id);
      await client.remove(container.id, true);
      ui.err(`${ui.paintErr('green', '✓')} ${container.name} removed: the file has no service ${service}.`);
    } else {
      const hint = 'remove it with --remove-orphans';
      ui.err(
        `${ui.paintErr('yellow', 'warning:')} ${container.name} is of a service that the file has no more; ${hint}.`,
      );
    }
  }
}

function tell(ui: Ui, service: string, container: Container, change: Change): void {
  const ports = portText(container);
  ui.err(`${ui.paintErr('green', '✓')} ${service.padEnd(12)} ${change}${ports === '' ? '' : `  ${ports}`}`);
}

export default command({
  name: 'compose up',
  about:
    'Starts the services of a compose file in the order of their dependencies. What is as the file says stays as it is; what changed is made again. In the foreground it shows what they write until all have ended; ctrl-C stops them.',
  args: {
    ...servicesArgument,
    detach: { type: 'boolean', alias: 'd', description: 'Let them run, and come back' },
    build: { type: 'boolean', description: 'Build images again, even where they are there' },
    'force-recreate': { type: 'boolean', description: 'Make every container again' },
    'remove-orphans': { type: 'boolean', description: 'Remove containers of services that the file has no more' },
    time: { type: 'string', alias: 't', valueHint: 'SECONDS', description: 'From the stop signal to KILL at ctrl-C' },
    ...projectFlags,
  },
  many: true,
  examples: [
    ['wafer compose up', 'everything, in the foreground'],
    ['wafer compose up -d db', 'one service and what it depends on'],
    ['wafer compose up -d --build', 'after a change of the code'],
  ],
  run: async (flags, context: RunContext) => {
    const { ui, env, positionals } = context;
    const project = openProject(flags, context);
    checkServices(positionals, [...project.services.keys()], 'the file');
    const services = withDependencies(project.services, positionals);
    const client = createContainerClient(env);
    const timeoutSeconds =
      flags.time === undefined ? undefined : readFlag('--time', () => readWhole(flags.time ?? '', 0));
    const images = await prepareImages(project, services.values(), { build: flags.build === true, ui, env });
    await tellOrphans(project, client, flags['remove-orphans'] === true, ui);
    const start = (onStarted: OnStarted, signal: AbortSignal) =>
      startProject({
        client,
        project,
        services,
        images,
        forceRecreate: flags['force-recreate'] === true,
        signal,
        onStarted: (service, container, change) => {
          tell(ui, service, container, change);
          onStarted(service, container, change);
        },
      });
    if (flags.detach) {
      await start(() => {}, new AbortController().signal);
      return 0;
    }
    return runForeground({ project: project.name, services: [...services.keys()], client, timeoutSeconds, ui, start });
  },
});
