/** Lines of several services, each with its service's name in a colour of its own. */
import type { ContainerLogLine } from '../../core/containers/types.ts';
import { safeText } from '../format.ts';
import type { Ui } from '../ui.ts';

const COLOURS = ['cyan', 'yellow', 'green', 'magenta', 'blue'] as const;

export interface ServiceOutput {
  line(service: string, line: ContainerLogLine): void;
  /** About the service, by us. */
  note(service: string, text: string): void;
}

export function createServiceOutput(services: readonly string[], ui: Ui, prefix = true): ServiceOutput {
  const width = Math.max(0, ...services.map((name) => name.length));
  const label = (service: string, paint: Ui['paint']) => {
    if (!prefix) return '';
    const colour = COLOURS[Math.max(0, services.indexOf(service)) % COLOURS.length] ?? 'cyan';
    return `${paint(colour, `${service.padEnd(width)} |`)} `;
  };
  return {
    line(service, { stream, text }) {
      const isErr = stream === 'stderr';
      const isTty = isErr ? ui.stderrIsTty : ui.stdoutIsTty;
      const shown = label(service, isErr ? ui.paintErr : ui.paint) + (isTty ? safeText(text) : text);
      if (isErr) ui.err(shown);
      else ui.out(shown);
    },
    note: (service, text) => ui.err(`${label(service, ui.paintErr)}${ui.paintErr('dim', text)}`),
  };
}
