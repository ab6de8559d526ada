/**
 * The states of a container and what leads from one to the next.
 *
 *   created --started--> running <--paused/unpaused--> paused
 *      |                  |  ^
 *      |                ended |started
 *      |                  v   |
 *      +--start failed--> exited | restarting --gave up--> exited
 *
 * `restarting` waits for its back-off; nothing runs meanwhile.
 */
import { WaferError } from '../errors.ts';
import type { ContainerRecord } from './record.ts';
import type { ContainerStatus, RestartPolicy } from './types.ts';

export interface Ending {
  /** 128 + n after signal n. */
  exitCode: number;
  oomKilled: boolean;
  error: string | null;
  time: number;
}

export type ContainerEvent =
  | { type: 'started'; time: number }
  | { type: 'start_failed'; error: string; exitCode: number }
  | { type: 'paused' }
  | { type: 'unpaused' }
  | ({ type: 'ended'; willRestart: boolean } & Ending)
  /** The back-off is over, or was called off. */
  | { type: 'gave_up' };

export type Action = 'start' | 'pause' | 'unpause' | 'exec' | 'kill' | 'remove' | 'top' | 'stats';

const ALLOWED: Record<Action, readonly ContainerStatus[]> = {
  start: ['created', 'exited', 'restarting'],
  pause: ['running'],
  unpause: ['paused'],
  exec: ['running'],
  kill: ['running', 'paused'],
  top: ['running', 'paused'],
  stats: ['running', 'paused'],
  remove: ['created', 'exited'],
};

const HINTS: Partial<Record<Action, string>> = {
  remove: 'Stop it first, or remove it with force.',
  exec: 'Start it, or unpause it.',
};

const SHOWN: Record<Action, string> = {
  start: 'be started',
  pause: 'be paused',
  unpause: 'be unpaused',
  exec: 'run another program',
  kill: 'be sent a signal',
  top: 'list its processes',
  stats: 'be measured',
  remove: 'be removed',
};

/** @throws WaferError `conflict` */
export function assertAllowed(action: Action, { status, name }: Pick<ContainerRecord, 'status' | 'name'>): void {
  if (ALLOWED[action].includes(status)) return;
  const hint = HINTS[action];
  throw new WaferError('conflict', `The container ${name} is ${status} and can not ${SHOWN[action]}.`, {
    details: { status },
    ...(hint === undefined ? {} : { hint }),
  });
}

/** The record after the event. */
export function stateAfter(record: ContainerRecord, event: ContainerEvent): ContainerRecord {
  switch (event.type) {
    case 'started':
      return {
        ...record,
        status: 'running',
        error: null,
        oomKilled: false,
        startedAt: event.time,
        finishedAt: null,
        stoppedByHand: false,
        cutByPlatform: false,
      };
    case 'start_failed':
      return {
        ...record,
        status: record.startedAt === null ? 'created' : 'exited',
        error: event.error,
        exitCode: event.exitCode,
      };
    case 'paused':
      return { ...record, status: 'paused' };
    case 'unpaused':
      return { ...record, status: 'running' };
    case 'ended': {
      const { exitCode, oomKilled, error, time } = event;
      const status = event.willRestart ? 'restarting' : 'exited';
      return { ...record, status, exitCode, oomKilled, error, finishedAt: time };
    }
    case 'gave_up':
      return { ...record, status: 'exited' };
  }
}

/** Whether the policy starts it again after it ended by itself. */
export function wantsRestart(policy: RestartPolicy, exitCode: number, restarts: number): boolean {
  if (policy.name === 'always' || policy.name === 'unless-stopped') return true;
  if (policy.name === 'no' || exitCode === 0) return false;
  return policy.maximumRetries === 0 || restarts < policy.maximumRetries;
}

/** Whether it is started together with the platform. */
export function startsWithPlatform({ config, cutByPlatform, stoppedByHand, startedAt }: ContainerRecord): boolean {
  if (config.restart.name === 'always') return startedAt !== null;
  return config.restart.name === 'unless-stopped' && cutByPlatform && !stoppedByHand;
}

const FIRST_DELAY_MS = 100;
const MAX_DELAY_MS = 60_000;
/** One that ran this long has proved itself: the next delay is the first one again. */
export const PROVEN_MS = 10_000;

export const restartDelayMs = (failuresInARow: number): number =>
  Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(failuresInARow, 20));
