/** `compose up` at a terminal: shows what the services write until all have ended, or ctrl-C. */
import type { Container } from '../../core/containers/types.ts';
import type { ContainerClient } from '../container-client.ts';
import type { Ui } from '../ui.ts';
import { followService } from './follow.ts';
import { containersOf, type ServiceContainer } from './labels.ts';
import { createServiceOutput } from './output.ts';
import type { OnStarted } from './start.ts';
import { stopProject } from './stop.ts';

const INTERRUPTED = 130;
const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

export interface Foreground {
  project: string;
  services: readonly string[];
  client: ContainerClient;
  /** Of the stop at ctrl-C; else each container's own. */
  timeoutSeconds: number | undefined;
  ui: Ui;
  /** Starts everything; each container is told as it starts. */
  start: (onStarted: OnStarted, signal: AbortSignal) => Promise<void>;
}

/** The first signal interrupts, each later one calls `again`. */
function listenForSignals(again: () => void) {
  const controller = new AbortController();
  const onSignal = () => {
    if (controller.signal.aborted) again();
    controller.abort();
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  const { signal } = controller;
  return {
    signal,
    interrupted: new Promise<null>((resolve) => signal.addEventListener('abort', () => resolve(null))),
    close: () => {
      for (const one of SIGNALS) process.off(one, onSignal);
    },
  };
}

function createFollower({ client, services, ui }: Foreground) {
  const output = createServiceOutput(services, ui);
  const leaving = new AbortController();
  const following: Promise<Container | null>[] = [];
  const begun = Date.now();
  const follow = async (service: string, container: Container) => {
    const since = container.startedAt ?? begun;
    const end = await followService(client, service, container.id, { since, signal: leaving.signal, output });
    if (end !== null) output.note(service, `ended with exit code ${end.exitCode ?? 'none'}`);
    return end;
  };
  return {
    add(service: string, container: Container) {
      const ended = follow(service, container);
      // `ended()` tells it; until somebody asks it must not count as unhandled.
      ended.catch(() => {});
      following.push(ended);
    },
    ended: () => Promise.all(following),
    async close() {
      leaving.abort();
      await Promise.allSettled(following);
    },
  };
}

/** @returns the exit code: 130 after ctrl-C, else 0 when every container ended with 0. @throws what `start` throws */
export async function runForeground(options: Foreground): Promise<number> {
  const { project, services, client, timeoutSeconds, ui, start } = options;
  let stopping: ServiceContainer[] = [];
  const kill = () => {
    // One that has ended meanwhile is what was wanted.
    for (const { container } of stopping) client.kill(container.id, 'SIGKILL').catch(() => {});
  };
  const signals = listenForSignals(kill);
  const follower = createFollower(options);
  try {
    try {
      await start((service, container) => follower.add(service, container), signals.signal);
    } catch (error) {
      if (!signals.signal.aborted) throw error;
    }
    const ends = signals.signal.aborted ? null : await Promise.race([follower.ended(), signals.interrupted]);
    if (ends !== null) return ends.every((end) => end === null || end.exitCode === 0) ? 0 : 1;
    ui.err(ui.paintErr('dim', 'Stopping; ctrl-C again kills.'));
    const running = containersOf(project, await client.list(false));
    stopping = running.filter(({ service }) => services.includes(service));
    await stopProject({ client, containers: stopping, timeoutSeconds, remove: false, onStopped: () => {} });
    await follower.ended();
    return INTERRUPTED;
  } finally {
    await follower.close();
    signals.close();
  }
}
