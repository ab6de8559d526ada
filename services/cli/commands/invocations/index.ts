import { type CommandEntry, commandGroup } from '../../command.ts';

const commands: readonly CommandEntry[] = [
  { name: 'ls', summary: 'List invocations, newest first', synonyms: ['list'], load: () => import('./ls.ts') },
  {
    name: 'get',
    summary: 'Show one invocation with its timeline',
    synonyms: ['show', 'describe', 'inspect', 'status'],
    load: () => import('./get.ts'),
  },
  { name: 'result', summary: 'Print what it answered', synonyms: ['output'], load: () => import('./result.ts') },
  { name: 'logs', summary: 'Print what it wrote', synonyms: ['log'], load: () => import('./logs.ts') },
  {
    name: 'cancel',
    summary: 'Stop invocations that have not ended',
    synonyms: ['kill'],
    load: () => import('./cancel.ts'),
  },
  {
    name: 'deliveries',
    summary: 'Show what follows one: callbacks and chained functions',
    synonyms: ['callbacks', 'followers'],
    load: () => import('./deliveries.ts'),
  },
  {
    name: 'redeliver',
    summary: 'Deliver once more what follows one',
    synonyms: ['resend'],
    load: () => import('./redeliver.ts'),
  },
  { name: 'retry', summary: 'Run dead letters again', synonyms: ['rerun'], load: () => import('./retry.ts') },
  { name: 'replay', summary: 'Run a stored request again, and compare', load: () => import('./replay.ts') },
];

export default commandGroup({
  name: 'invocations',
  about: 'What was called or accepted, and how it ended.',
  commands,
  examples: [
    ['wafer invocations ls --state failed', 'what went wrong'],
    ['wafer invocations get ID', 'one, with every attempt'],
    ['wafer invocations replay ID --version 4', 'the same request on another version'],
  ],
});
