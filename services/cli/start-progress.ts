/** The start of the platform, for a person: steps, and a bar for each base image that is made. */
import type { BaseProgress } from '../worker/base-images/index.ts';
import { formatMs } from './format.ts';
import type { Ui } from './ui.ts';

export interface StartProgress {
  onProgress(text: string): void;
  onBaseImage(progress: BaseProgress): void;
  end(): void;
}

const BAR = 24;
/** Without a terminal a bar is a line at each of these. */
const MILESTONES = [0, 25, 50, 75];

export function createStartProgress(ui: Ui): StartProgress {
  const task = ui.task('Starting');
  const begun = new Map<string, number>();
  const said = new Map<string, number>();
  return {
    onProgress: (text) => task.update(`Starting: ${text}`),
    onBaseImage({ image, state, percent, text }) {
      if (!begun.has(image)) begun.set(image, Date.now());
      if (state === 'ready') return;
      if (state === 'built') {
        task.clear();
        return ui.err(
          `${ui.paintErr('green', '✓')} base image ${image} (${formatMs(Date.now() - (begun.get(image) ?? 0))})`,
        );
      }
      task.update(`base image ${image.padEnd(10)} ${bar(percent)} ${String(percent).padStart(3)} %  ${text}`);
      const milestone = MILESTONES.filter((mark) => percent >= mark).at(-1) ?? 0;
      if (ui.stderrIsTty || said.get(image) === milestone) return;
      said.set(image, milestone);
      ui.err(`  base image ${image} ${milestone} %`);
    },
    end: () => task.clear(),
  };
}

function bar(percent: number): string {
  const filled = Math.round((percent / 100) * BAR);
  return `${'█'.repeat(filled)}${'░'.repeat(BAR - filled)}`;
}
