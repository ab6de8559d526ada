/** `run`, `start -a`, `attach` and `exec` at this terminal. */
import type { Container } from '../../core/containers/types.ts';
import { WaferError } from '../../core/errors.ts';
import type { ContainerClient } from '../container-client.ts';
import { parseDetachKeys } from '../session/detach-keys.ts';
import { runSession } from '../session/run-session.ts';
import { terminalSize } from '../session/terminal.ts';
import type { Ui } from '../ui.ts';

export const detachFlag = {
  'detach-keys': {
    type: 'string',
    valueHint: 'KEYS',
    default: 'ctrl-p,ctrl-q',
    description: 'Keys that leave it running',
  },
} as const;

/** @throws WaferError `usage`: docker refuses it too, since keys of a pipe would be taken for signals */
export function needsTerminal(program: string): void {
  if (process.stdin.isTTY === true) return;
  throw new WaferError('usage', `stdin is not a terminal, which ${program} -it needs.`, {
    hint: 'Leave out -t: wafer run -i passes a pipe on.',
  });
}

export interface AttachOptions {
  client: ContainerClient;
  container: Container;
  ui: Ui;
  stdin: boolean;
  detachKeys: string;
  /** What it said before comes first. */
  logs: boolean;
  /** Starts it when the session is there, so that nothing is lost. */
  start: boolean;
  /** Signals go to the program. */
  forward: boolean;
}

/** @returns the exit code for this process */
export async function attachTo(options: AttachOptions): Promise<number> {
  const { client, container, ui } = options;
  const { terminal } = container.config;
  const stdin = options.stdin && container.config.stdin;
  const size = terminal ? terminalSize(process.stdout) : undefined;
  const detachKeys = parseDetachKeys(options.detachKeys);
  const session = await client.attach(container.id, { logs: options.logs, ...(size === undefined ? {} : { size }) });
  const end = await runSession(session, {
    stdin,
    terminal,
    detachKeys,
    forward: options.forward && !terminal ? (signal) => client.kill(container.id, signal) : null,
    ...(options.start ? { begin: () => client.start(container.id, size) } : {}),
  });
  if (end.kind === 'left') ui.err(`\n${container.name} goes on. "wafer attach ${container.name}" goes back to it.`);
  return end.code;
}
