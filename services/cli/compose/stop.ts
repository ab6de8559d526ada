/** Stops the containers of a project, each before those it depends on. */
import type { ContainerClient } from '../container-client.ts';
import { type ServiceContainer, stopOrder } from './labels.ts';

export interface StopOptions {
  client: ContainerClient;
  containers: readonly ServiceContainer[];
  /** Else each container's own. */
  timeoutSeconds?: number | undefined;
  /** They are removed, too. */
  remove: boolean;
  onStopped: (one: ServiceContainer) => void;
}

/** Who depends on nobody else's end does not wait for it. */
export async function stopProject({
  client,
  containers,
  timeoutSeconds,
  remove,
  onStopped,
}: StopOptions): Promise<void> {
  const ends = new Map<ServiceContainer, Promise<void>>();
  for (const one of stopOrder(containers)) {
    const before = containers.filter((other) => other.dependsOn.includes(one.service));
    const end = async () => {
      await Promise.all(before.map((other) => ends.get(other)));
      await client.stop(one.container.id, timeoutSeconds);
      if (remove) await client.remove(one.container.id, true);
      onStopped(one);
    };
    ends.set(one, end());
  }
  const results = await Promise.allSettled(ends.values());
  const failure = results.find((result) => result.status === 'rejected');
  if (failure !== undefined) throw failure.reason;
}
