import type { ArgsDef } from 'citty';
import { WaferError } from '../../core/errors.ts';
import { didYouMean } from '../../core/functions/nearest.ts';
import type { RunContext } from '../command.ts';
import { type ContainerClient, createContainerClient } from '../container-client.ts';
import { containersOf, type ServiceContainer } from './labels.ts';
import { loadProject } from './project.ts';
import type { ComposeProject } from './types.ts';

export const projectFlags = {
  file: {
    type: 'string',
    valueHint: 'FILE',
    description: 'The compose file; else compose.yaml and the like, here or above',
  },
  'project-name': { type: 'string', valueHint: 'NAME', description: "Else the file's name, else the folder's" },
} as const satisfies ArgsDef;

export const servicesArgument = {
  service: { type: 'positional', description: 'Only these services', required: false },
} as const satisfies ArgsDef;

interface Flags {
  file?: string | undefined;
  'project-name'?: string | undefined;
}

/** Warnings go to stderr. */
export function openProject(flags: Flags, { ui, env, cwd }: RunContext): ComposeProject {
  const project = loadProject({ file: flags.file, projectName: flags['project-name'], cwd, env });
  for (const warning of project.warnings) ui.err(`${ui.paintErr('yellow', 'warning:')} ${warning}`);
  return project;
}

/** @throws WaferError `usage` for a service that is not in the file */
export function checkServices(names: readonly string[], known: readonly string[], where: string): void {
  for (const name of names) {
    if (known.includes(name)) continue;
    throw new WaferError('usage', `There is no service ${name} in ${where}.${didYouMean(name, known)}`, {
      hint: `They are ${known.join(', ')}.`,
    });
  }
}

export interface ProjectContainers {
  client: ContainerClient;
  name: string;
  containers: ServiceContainer[];
}

/** By the name alone, when that is given: a file that has gone must not keep its containers. */
export async function findContainers(
  flags: Flags,
  names: readonly string[],
  context: RunContext,
): Promise<ProjectContainers> {
  const given = flags['project-name'] ?? (flags.file === undefined ? context.env['COMPOSE_PROJECT_NAME'] : undefined);
  const project = given ? null : openProject(flags, context);
  const name = given || (project?.name ?? '');
  const client = createContainerClient(context.env);
  const all = containersOf(name, await client.list(true));
  const known = [...new Set([...(project?.services.keys() ?? []), ...all.map(({ service }) => service)])];
  checkServices(names, known, `the project ${name}`);
  const containers = names.length === 0 ? all : all.filter(({ service }) => names.includes(service));
  return { client, name, containers: containers.sort((a, b) => a.service.localeCompare(b.service)) };
}
