import { type CommandEntry, commandGroup } from '../../command.ts';

const entry = (
  name: string,
  summary: string,
  load: CommandEntry['load'],
  synonyms: readonly string[] = [],
): CommandEntry => ({ name, summary, load, synonyms });

const commands: readonly CommandEntry[] = [
  entry('prune', 'Remove every container that does not run', () => import('./prune.ts'), ['gc', 'clean']),
];

export default commandGroup({
  name: 'container',
  about: 'Containers together. What is done with one is a command by itself: wafer run, stop, rm and the others.',
  commands,
  examples: [['wafer container prune', 'what does not run goes']],
});
