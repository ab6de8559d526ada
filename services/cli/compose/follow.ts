/** The output of a service's container as long as it runs, over its restarts. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Container } from '../../core/containers/types.ts';
import { WaferError } from '../../core/errors.ts';
import type { ContainerClient } from '../container-client.ts';
import type { ServiceOutput } from './output.ts';

/** Between two looks at a container that is being restarted. */
const LOOK_MS = 250;

const isGone = (error: unknown) => error instanceof WaferError && error.code === 'container_not_found';

/** @returns the container as it ended, or null when it was removed or `signal` was aborted */
export async function followService(
  client: ContainerClient,
  service: string,
  id: string,
  options: { since?: number; tail?: number | undefined; signal: AbortSignal; output: ServiceOutput },
): Promise<Container | null> {
  const { signal, output } = options;
  let query: { since?: number; tail?: number | undefined } = { ...options };
  try {
    while (!signal.aborted) {
      let last = 0;
      for await (const line of client.logs(id, { follow: true, ...pick(query), signal })) {
        last = line.time;
        await output.line(service, line);
      }
      if (signal.aborted) return null;
      const container = await client.get(id);
      if (container.status === 'exited' || container.status === 'created') return container;
      query = { since: last === 0 ? (query.since ?? 0) : last + 1 };
      await delay(LOOK_MS);
    }
    return null;
  } catch (error) {
    if (isGone(error) || signal.aborted) return null;
    throw error;
  }
}

const pick = ({ since, tail }: { since?: number; tail?: number | undefined }) => ({ since, tail });
