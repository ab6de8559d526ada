import type { Ui } from './ui.ts';

/** Resolves at the first SIGINT or SIGTERM; the second ends the process at once. */
export function untilStopped(ui: Ui): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let stopping = false;
    const stop = (signal: NodeJS.Signals) => {
      if (stopping) {
        ui.err('Stopped at once.');
        process.exit(signal === 'SIGINT' ? 130 : 143);
      }
      stopping = true;
      ui.err('Stopping: calls that run may finish. Once more stops at once.');
      resolve(signal);
    };
    process.on('SIGINT', stop);
    process.on('SIGTERM', stop);
  });
}
