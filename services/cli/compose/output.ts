/** Lines of several services, each with its service's name in a colour of its own. */
import type { ContainerLogLine, OutputStream } from '../../core/containers/types.ts';
import { safeText } from '../format.ts';
import type { Ui } from '../ui.ts';

const COLOURS = ['cyan', 'yellow', 'green', 'magenta', 'blue'] as const;

export interface ServiceOutput {
  line(service: string, line: ContainerLogLine): Promise<void>;
  /** About the service, by us. */
  note(service: string, text: string): void;
}

export function createServiceOutput(services: readonly string[], ui: Ui, prefix = true): ServiceOutput {
  const width = Math.max(0, ...services.map((name) => name.length));
  /** Parts of lines whose end is to come: another service's line must not get between. */
  const parts = new Map<string, string>();
  const label = (service: string, paint: Ui['paint']) => {
    if (!prefix) return '';
    const colour = COLOURS[Math.max(0, services.indexOf(service)) % COLOURS.length] ?? 'cyan';
    return `${paint(colour, `${service.padEnd(width)} |`)} `;
  };
  const whole = (service: string, stream: OutputStream, text: string, isPartial: boolean): string | null => {
    const key = `${stream} ${service}`;
    const all = (parts.get(key) ?? '') + text;
    parts.delete(key);
    if (!isPartial || all.length >= MAX_PART) return all;
    parts.set(key, all);
    return null;
  };
  return {
    async line(service, { stream, text, partial }) {
      const all = whole(service, stream, text, partial === true);
      if (all === null) return;
      const isErr = stream === 'stderr';
      const isTty = isErr ? ui.stderrIsTty : ui.stdoutIsTty;
      const shown = `${label(service, isErr ? ui.paintErr : ui.paint)}${isTty ? safeText(all) : all}\n`;
      await (isErr ? ui.rawErr(shown) : ui.raw(shown));
    },
    note: (service, text) => ui.err(`${label(service, ui.paintErr)}${ui.paintErr('dim', text)}`),
  };
}

/** A line that is longer is shown in pieces. */
const MAX_PART = 64 * 1024;
