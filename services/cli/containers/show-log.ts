/** Log lines of a container: stdout to stdout and stderr to stderr, as the program wrote them. */
import type { ContainerLogLine, OutputStream } from '../../core/containers/types.ts';
import { formatClock, safeText } from '../format.ts';
import type { Ui } from '../ui.ts';

export interface ShowLogOptions {
  ui: Ui;
  timestamps: boolean;
  json: boolean;
}

/**
 * On a terminal, control characters other than colours are taken out: what a program logged must not steer it.
 * A line that came in parts is put together again.
 */
export function createLogView({ ui, timestamps, json }: ShowLogOptions): (line: ContainerLogLine) => Promise<void> {
  const isWithin: Record<OutputStream, boolean> = { stdout: false, stderr: false };
  return async (line) => {
    if (json) return ui.raw(`${JSON.stringify(line)}\n`);
    const isErr = line.stream === 'stderr';
    const isTty = isErr ? ui.stderrIsTty : ui.stdoutIsTty;
    const clock = isTty ? formatClock(line.time) : new Date(line.time).toISOString();
    const time = timestamps && !isWithin[line.stream] ? `${(isErr ? ui.paintErr : ui.paint)('dim', clock)}  ` : '';
    const text = isTty ? safeText(line.text) : line.text;
    isWithin[line.stream] = line.partial === true;
    const whole = `${time}${text}${line.partial ? '' : '\n'}`;
    await (isErr ? ui.rawErr(whole) : ui.raw(whole));
  };
}
