/** What a container of a project carries, so that it is found again without the file. */
import { createHash } from 'node:crypto';
import type { Container } from '../../core/containers/types.ts';
import type { ContainerRequest } from '../container-client.ts';
import type { ComposeProject, ComposeService } from './types.ts';

export const LABELS = {
  project: 'dev.wafer.compose.project',
  service: 'dev.wafer.compose.service',
  /** Of everything that the file says of the container. */
  hash: 'dev.wafer.compose.config-hash',
  /** Services it was started after, by commas: the order to stop in. */
  dependsOn: 'dev.wafer.compose.depends-on',
} as const;

export interface ServiceContainer {
  service: string;
  dependsOn: string[];
  container: Container;
}

/** Keys in one order, so that what is equal has one text. */
function canonical(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(canonical);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, one]) => [key, canonical(one)]),
  );
}

export const imageName = (project: ComposeProject, service: ComposeService): string =>
  service.image ?? `${project.name}-${service.name.toLowerCase()}`;

export const containerName = (project: ComposeProject, service: ComposeService): string =>
  service.containerName ?? `${project.name}-${service.name}-1`;

/** What the API is asked for. The same file gives the same hash. */
export function requestOf(project: ComposeProject, service: ComposeService): ContainerRequest {
  const { labels, ...settings } = service.settings;
  const request = { ...settings, image: imageName(project, service), name: containerName(project, service) };
  const hash = createHash('sha256')
    .update(JSON.stringify(canonical({ ...request, labels })))
    .digest('hex');
  return {
    ...request,
    labels: {
      ...labels,
      [LABELS.project]: project.name,
      [LABELS.service]: service.name,
      [LABELS.hash]: hash,
      [LABELS.dependsOn]: service.dependsOn.map((one) => one.service).join(','),
    },
  };
}

/** Those of the project, in no order. */
export function containersOf(project: string, containers: readonly Container[]): ServiceContainer[] {
  return containers
    .filter(({ config }) => config.labels[LABELS.project] === project)
    .map((container) => ({
      container,
      service: container.config.labels[LABELS.service] ?? container.name,
      dependsOn: (container.config.labels[LABELS.dependsOn] ?? '').split(',').filter((one) => one !== ''),
    }));
}

/** Each before those it depends on. */
export function stopOrder(containers: readonly ServiceContainer[]): ServiceContainer[] {
  const order: ServiceContainer[] = [];
  const done = new Set<ServiceContainer>();
  const visit = (one: ServiceContainer) => {
    if (done.has(one)) return;
    // Before its dependencies, so that labels that go round in a circle end.
    done.add(one);
    for (const other of containers) if (one.dependsOn.includes(other.service)) visit(other);
    order.unshift(one);
  };
  for (const one of containers) visit(one);
  return order;
}
