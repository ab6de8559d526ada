import { type CommandEntry, commandGroup } from '../../command.ts';

const commands: readonly CommandEntry[] = [
  {
    name: 'log',
    summary: 'Print where functions connected to, and follow it',
    synonyms: ['logs', 'ls', 'tail', 'show'],
    load: () => import('./log.ts'),
  },
];

export default commandGroup({
  name: 'egress',
  about: 'What functions connect to. What they may is "egress" in their wafer.json.',
  commands,
  examples: [
    ['wafer egress log', 'the newest connections of all functions'],
    ['wafer egress log hello -f', 'those of one, as they end'],
  ],
});
