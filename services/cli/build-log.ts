import type { BuildEvent } from '../core/functions/types.ts';
import { formatMs, safeText } from './format.ts';
import { createBars } from './transfer-progress.ts';
import type { Task, Ui } from './ui.ts';

export interface BuildLog {
  note(text: string): void;
  event(event: BuildEvent): void;
  /** Stops a spinner that still turns. Idempotent. */
  close(): void;
}

/** Shows a build on stderr while it runs: a spinner for the step, its output below, a line for its end. */
export function createBuildLog(ui: Ui): BuildLog {
  let task: Task | null = null;
  let bars: ReturnType<typeof createBars> | null = null;
  const close = () => {
    bars?.clear();
    bars = null;
    task?.clear();
    task = null;
  };
  /** The bars take the spinner's place until the step ends. */
  const layer = (event: Extract<BuildEvent, { type: 'layer' }>) => {
    if (bars === null) close();
    bars ??= createBars(ui);
    bars.event(event);
  };
  const step = (event: Extract<BuildEvent, { type: 'step' }>) => {
    if (event.state === 'start') {
      close();
      task = ui.task(event.step);
      return;
    }
    bars?.clear();
    bars = null;
    task ??= ui.task(event.step);
    const time = event.ms === undefined ? '' : formatMs(event.ms);
    task.done(`${event.step}  ${ui.paintErr('dim', event.state === 'cached' ? 'cached' : time)}`.trimEnd());
    task = null;
  };
  const log = (event: Extract<BuildEvent, { type: 'log' }>) => {
    const running = task !== null;
    close();
    for (const line of safeText(event.text).trimEnd().split('\n')) ui.err(ui.paintErr('dim', `  │ ${line}`));
    if (running) task = ui.task(event.step);
  };
  return {
    note: (text) => ui.err(ui.paintErr('dim', text)),
    event: (event) => {
      if (event.type === 'step') step(event);
      else if (event.type === 'log') log(event);
      else if (event.type === 'layer') layer(event);
    },
    close,
  };
}
