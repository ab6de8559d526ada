import type { Ui } from '../ui.ts';

export function showRedriven(ui: Ui, redriven: readonly { id: string; again: string }[]): void {
  if (redriven.length === 0) ui.out('There is no dead letter.');
  for (const { id, again } of redriven) ui.out(`${ui.paint('green', '✓')} ${id} runs again as ${again}`);
}
