import { type CommandEntry, commandGroup } from '../../command.ts';

const commands: readonly CommandEntry[] = [
  {
    name: 'add',
    summary: 'Make a schedule, or replace it',
    synonyms: ['create', 'new', 'set', 'put'],
    load: () => import('./add.ts'),
  },
  { name: 'ls', summary: 'List schedules', synonyms: ['list'], load: () => import('./ls.ts') },
  {
    name: 'show',
    summary: 'Show one: its last due times and what became of them, and its next ones',
    synonyms: ['describe', 'get', 'inspect', 'runs'],
    load: () => import('./show.ts'),
  },
  {
    name: 'preview',
    summary: 'Print the next due times',
    synonyms: ['next', 'test'],
    load: () => import('./preview.ts'),
  },
  { name: 'run', summary: 'Start it now', synonyms: ['trigger', 'now', 'fire'], load: () => import('./run.ts') },
  {
    name: 'pause',
    summary: 'Have no more due times',
    synonyms: ['stop', 'disable', 'suspend'],
    load: () => import('./pause.ts'),
  },
  {
    name: 'resume',
    summary: 'Have due times again',
    synonyms: ['start', 'enable', 'unpause'],
    load: () => import('./resume.ts'),
  },
  { name: 'rm', summary: 'Remove a schedule', synonyms: ['remove', 'delete'], load: () => import('./rm.ts') },
];

export default commandGroup({
  name: 'schedule',
  about: 'Functions by the clock: cron with time zones, every so often, or once.',
  commands,
  examples: [
    ['wafer schedule add nightly --function report --cron "30 2 * * *" --timezone Europe/Berlin', 'every night'],
    ['wafer schedule preview --cron "0 9 * * mon#1"', 'when that would be'],
    ['wafer schedule show nightly', 'what became of the last ones'],
  ],
});
