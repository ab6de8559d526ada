import { count } from '../../format.ts';
import type { SecretChange } from '../../secret-client.ts';
import type { Ui } from '../../ui.ts';

export function showChange(ui: Ui, { name, latest, changed, replaced, usedBy }: SecretChange): void {
  if (!changed) {
    ui.out(`${name} has this value already, as version ${latest}.`);
    return;
  }
  ui.out(`${ui.paint('green', '✓')} ${name} is set: version ${latest}.`);
  if (replaced > 0)
    ui.err(`${count(replaced, 'instance')} with an older one ${replaced === 1 ? 'makes' : 'make'} way.`);
  if (usedBy.length === 0) ui.err(`A function gets it with "secrets": ["${name}"] in its wafer.json.`);
}
