/** Waiting for what a service depends on. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Container } from '../../core/containers/types.ts';
import { WaferError } from '../../core/errors.ts';
import type { ContainerClient } from '../container-client.ts';
import type { Condition } from './types.ts';

const LOOK_MS = 250;

const failed = (service: string, why: string, container: Container) =>
  new WaferError('container_start_failed', `The service ${service} ${why}.`, {
    hint: `wafer logs ${container.name}`,
  });

/** Null: not yet. @throws WaferError when it can not come true any more */
function holds(service: string, container: Container, condition: Condition): boolean {
  const { status, health, exitCode, config } = container;
  const isOver = status === 'exited';
  if (condition === 'service_started') return true;
  if (condition === 'service_completed_successfully') {
    if (!isOver) return false;
    if (exitCode === 0) return true;
    throw failed(service, `ended with exit code ${exitCode ?? 'none'}, but others wait for its success`, container);
  }
  if (health === 'healthy') return true;
  if (isOver && config.restart.name === 'no')
    throw failed(service, `ended (exit code ${exitCode ?? 'none'}) before it was healthy`, container);
  if (health === 'unhealthy') throw failed(service, 'is unhealthy', container);
  if (health === null && status === 'running')
    throw failed(service, 'has no health check, but others wait until it is healthy', container);
  return false;
}

/** @throws WaferError `container_start_failed` when it can not come true, the reason of an aborted `signal` */
export async function waitForCondition(
  client: ContainerClient,
  service: string,
  id: string,
  condition: Condition,
  signal: AbortSignal,
): Promise<void> {
  while (!holds(service, await client.get(id), condition)) await delay(LOOK_MS, undefined, { signal });
}
