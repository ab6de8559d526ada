/** Bodies of requests -> what core is asked. */
import type { Static } from 'typebox';
import { withDefaults } from '../../core/containers/config.ts';
import type { ContainerConfig, ExecConfig, HealthCheck } from '../../core/containers/types.ts';
import type { CreateContainer, ExecConfigBody } from '../schemas/containers.ts';

type Body = Omit<Static<typeof CreateContainer>, 'name'>;

export function toContainerConfig({ mounts, ports, network, restart, health, ...rest }: Body): ContainerConfig {
  return withDefaults({
    ...rest,
    ...(mounts === undefined ? {} : { mounts: mounts.map((mount) => ({ readOnly: false, ...mount })) }),
    ...(ports === undefined
      ? {}
      : { ports: ports.map((port) => ({ hostAddress: '127.0.0.1' as const, hostPort: 0, ...port })) }),
    ...(network === undefined ? {} : { network: { mode: 'public' as const, ...network } }),
    ...(restart === undefined ? {} : { restart: { maximumRetries: 0, ...restart } }),
    ...(health === undefined ? {} : { health: health === null ? null : toHealth(health) }),
  });
}

const toHealth = (health: NonNullable<Body['health']>): HealthCheck => ({
  intervalSeconds: 30,
  timeoutSeconds: 30,
  startPeriodSeconds: 0,
  retries: 3,
  ...health,
});

export const toExecConfig = (body: Static<typeof ExecConfigBody>): ExecConfig => ({
  env: {},
  stdin: false,
  terminal: null,
  ...body,
});
