import type { Container, ContainerConfig } from '../../../services/core/containers/types.ts';

/** A container as the API tells it. */
export function aContainer(
  given: Partial<Container> & Partial<Pick<ContainerConfig, 'labels' | 'terminal' | 'stdin'>> = {},
): Container {
  const { labels = {}, terminal = false, stdin = false, ...state } = given;
  return {
    id: 'c0ffee0c0ffee0c0ffee0',
    name: 'web',
    status: 'created',
    config: {
      image: 'debian12',
      env: {},
      terminal,
      stdin,
      mounts: [],
      ports: [],
      network: { mode: 'public' },
      restart: { name: 'no', maximumRetries: 0 },
      removeOnExit: false,
      stopTimeoutSeconds: 10,
      labels,
    },
    imageDigest: `sha256:${'1'.repeat(64)}`,
    argv: ['sleep', '60'],
    exitCode: null,
    oomKilled: false,
    error: null,
    health: null,
    restartCount: 0,
    createdAt: 0,
    startedAt: null,
    finishedAt: null,
    pid: null,
    ports: [],
    ...state,
  };
}
