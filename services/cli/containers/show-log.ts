/** Log lines of a container: stdout to stdout and stderr to stderr, as the program wrote them. */
import type { ContainerLogLine } from '../../core/containers/types.ts';
import { formatClock, safeText } from '../format.ts';
import type { Ui } from '../ui.ts';

export interface ShowLogOptions {
  ui: Ui;
  timestamps: boolean;
  json: boolean;
}

/** On a terminal, control characters other than colours are taken out: what a program logged must not steer it. */
export function showLogLine(line: ContainerLogLine, { ui, timestamps, json }: ShowLogOptions): void {
  if (json) {
    ui.out(JSON.stringify(line));
    return;
  }
  const isErr = line.stream === 'stderr';
  const isTty = isErr ? ui.stderrIsTty : ui.stdoutIsTty;
  const text = isTty ? safeText(line.text) : line.text;
  const paint = isErr ? ui.paintErr : ui.paint;
  const time = timestamps
    ? `${paint('dim', isTty ? formatClock(line.time) : new Date(line.time).toISOString())}  `
    : '';
  const whole = time + text.replace(/\r?\n$/, '');
  if (isErr) ui.err(whole);
  else ui.out(whole);
}
