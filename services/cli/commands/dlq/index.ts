import { type CommandEntry, commandGroup } from '../../command.ts';

const commands: readonly CommandEntry[] = [
  { name: 'ls', summary: 'List dead letters, the latest first', synonyms: ['list'], load: () => import('./ls.ts') },
  {
    name: 'show',
    summary: 'Show one with every attempt',
    synonyms: ['get', 'inspect'],
    load: () => import('./show.ts'),
  },
  { name: 'redrive', summary: 'Run them again', synonyms: ['retry', 'replay'], load: () => import('./redrive.ts') },
  {
    name: 'purge',
    summary: 'Take them off the list',
    synonyms: ['rm', 'clear', 'delete'],
    load: () => import('./purge.ts'),
  },
];

export default commandGroup({
  name: 'dlq',
  about: 'Dead letters: accepted invocations that failed for good, or expired.',
  commands,
  examples: [
    ['wafer dlq ls', 'what nobody has looked after yet'],
    ['wafer dlq redrive --function report', 'all of a function, once its cause is mended'],
  ],
});
