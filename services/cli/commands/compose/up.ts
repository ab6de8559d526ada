import type { Container } from '../../../core/containers/types.ts';
import { command, type RunContext } from '../../command.ts';
import { checkServices, openProject, projectFlags, servicesArgument } from '../../compose/arguments.ts';
import { withDependencies } from '../../compose/depends-on.ts';
import { followService } from '../../compose/follow.ts';
import { prepareImages } from '../../compose/images.ts';
import { containersOf } from '../../compose/labels.ts';
import { createServiceOutput } from '../../compose/output.ts';
import { type Change, startProject } from '../../compose/start.ts';
import { stopProject } from '../../compose/stop.ts';
import type { ComposeProject } from '../../compose/types.ts';
import { type ContainerClient, createContainerClient } from '../../container-client.ts';
import { readFlag, readWhole } from '../../containers/parse.ts';
import { portText } from '../../containers/show.ts';
import type { Ui } from '../../ui.ts';

const INTERRUPTED = 130;

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

interface Foreground {
  project: ComposeProject;
  services: readonly string[];
  client: ContainerClient;
  timeoutSeconds: number | undefined;
  ui: Ui;
  /** Starts everything; each container is told as it starts. */
  start: (
    onStarted: (service: string, container: Container, change: Change) => void,
    signal: AbortSignal,
  ) => Promise<void>;
}

/** Until every container has ended, or ctrl-C; a second one does not wait. @returns the exit code */
async function runForeground({ project, services, client, timeoutSeconds, ui, start }: Foreground): Promise<number> {
  const interrupted = new AbortController();
  const output = createServiceOutput(services, ui);
  let timeout = timeoutSeconds;
  let kill: () => void = () => {};
  const onSignal = () => {
    if (interrupted.signal.aborted) kill();
    interrupted.abort();
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, onSignal);
  const since = Date.now();
  const following: Promise<Container | null>[] = [];
  const failures: unknown[] = [];
  const stopFollowing = new AbortController();
  const follow = async (service: string, container: Container) => {
    const from = container.startedAt ?? since;
    const end = await followService(client, service, container.id, {
      since: from,
      signal: stopFollowing.signal,
      output,
    });
    if (end !== null) output.note(service, `ended with exit code ${end.exitCode ?? 'none'}`);
    return end;
  };
  const stopAll = async () => {
    ui.err(ui.paintErr('dim', 'Stopping; ctrl-C again kills.'));
    const containers = containersOf(project.name, await client.list(false)).filter((one) =>
      services.includes(one.service),
    );
    const stop = (seconds: number | undefined) =>
      stopProject({ client, containers, timeoutSeconds: seconds, remove: false, onStopped: () => {} });
    kill = () => {
      timeout = 0;
      for (const { container } of containers) client.kill(container.id, 'SIGKILL').catch(() => {});
    };
    await stop(timeout);
  };
  try {
    await start((service, container) => void following.push(follow(service, container)), interrupted.signal).catch(
      (error: unknown) => {
        if (!interrupted.signal.aborted) failures.push(error);
      },
    );
    if (failures.length > 0) throw failures[0];
    const ended = Promise.all(following);
    const wasInterrupted = new Promise<null>((resolve) => {
      if (interrupted.signal.aborted) resolve(null);
      interrupted.signal.addEventListener('abort', () => resolve(null));
    });
    const ends = await Promise.race([ended, wasInterrupted]);
    if (ends !== null) return ends.every((end) => end === null || end.exitCode === 0) ? 0 : 1;
    await stopAll();
    await ended;
    return INTERRUPTED;
  } finally {
    stopFollowing.abort();
    await Promise.allSettled(following);
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, onSignal);
  }
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
    const start: Foreground['start'] = (onStarted, signal) =>
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
    return runForeground({ project, services: [...services.keys()], client, timeoutSeconds, ui, start });
  },
});
