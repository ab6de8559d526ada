/** Brings the containers of a project to what the file says: what is as it should be stays as it is. */
import type { Container } from '../../core/containers/types.ts';
import { WaferError } from '../../core/errors.ts';
import type { ContainerClient } from '../container-client.ts';
import { waitForCondition } from './conditions.ts';
import { startOrder } from './depends-on.ts';
import { containersOf, LABELS, requestOf } from './labels.ts';
import type { ComposeProject, ComposeService } from './types.ts';

export type Change = 'created' | 'recreated' | 'started' | 'unchanged';

export type OnStarted = (service: string, container: Container, change: Change) => void;

export interface StartOptions {
  client: ContainerClient;
  project: ComposeProject;
  /** With all they depend on. */
  services: ReadonlyMap<string, ComposeService>;
  /** Service -> digest of its image now. */
  images: ReadonlyMap<string, string>;
  forceRecreate: boolean;
  signal: AbortSignal;
  onStarted: OnStarted;
}

const isUpToDate = (container: Container, hash: string | undefined, image: string | undefined) =>
  container.config.labels[LABELS.hash] === hash && container.imageDigest === image;

const RUNS: readonly Container['status'][] = ['running', 'restarting'];

async function bringUp(options: StartOptions, service: ComposeService, existing: Container | undefined) {
  const { client, project, images, forceRecreate } = options;
  const request = requestOf(project, service);
  const isSame =
    existing !== undefined && isUpToDate(existing, request.labels?.[LABELS.hash], images.get(service.name));
  if (existing !== undefined && isSame && !forceRecreate) {
    if (existing.status === 'paused')
      return { container: await client.unpause(existing.id), change: 'started' } as const;
    if (RUNS.includes(existing.status)) return { container: existing, change: 'unchanged' } as const;
    return { container: await client.start(existing.id), change: 'started' } as const;
  }
  if (existing !== undefined) {
    await client.stop(existing.id);
    await client.remove(existing.id, true);
  }
  const { id } = await client.create(request);
  const change = existing === undefined ? 'created' : 'recreated';
  return { container: await client.start(id), change } as const;
}

/** A dependency that may be missing or may fail holds nobody up. */
async function waitForDependencies(
  { client, signal }: StartOptions,
  service: ComposeService,
  running: ReadonlyMap<string, Promise<Container>>,
): Promise<void> {
  await Promise.all(
    service.dependsOn.map(async ({ service: name, condition, required }) => {
      try {
        const container = await running.get(name);
        if (container !== undefined) await waitForCondition(client, name, container.id, condition, signal);
      } catch (error) {
        if (required || !(error instanceof WaferError)) throw error;
      }
    }),
  );
}

/** Those that depend on nothing of each other start at the same time. @throws WaferError the first failure, when all have ended */
export async function startProject(options: StartOptions): Promise<void> {
  const { client, project, services, signal, onStarted } = options;
  const existing = containersOf(project.name, await client.list(true));
  const running = new Map<string, Promise<Container>>();
  for (const service of startOrder(services)) {
    const begin = async () => {
      await waitForDependencies(options, service, running);
      signal.throwIfAborted();
      const before = existing.find((one) => one.service === service.name)?.container;
      const { container, change } = await bringUp(options, service, before);
      onStarted(service.name, container, change);
      return container;
    };
    running.set(service.name, begin());
  }
  const results = await Promise.allSettled(running.values());
  const failure = results.find((result) => result.status === 'rejected');
  if (failure !== undefined) throw failure.reason;
}
