import { type CommandEntry, commandGroup } from '../../command.ts';

const commands: readonly CommandEntry[] = [
  {
    name: 'add',
    summary: 'Make a webhook and print its URL',
    synonyms: ['create', 'new', 'set'],
    load: () => import('./add.ts'),
  },
  { name: 'ls', summary: 'List webhooks', synonyms: ['list'], load: () => import('./ls.ts') },
  {
    name: 'show',
    summary: 'Show one, or one of its deliveries',
    synonyms: ['describe', 'get', 'inspect'],
    load: () => import('./show.ts'),
  },
  {
    name: 'update',
    summary: 'Change one; its URL stays',
    synonyms: ['change', 'edit', 'patch'],
    load: () => import('./update.ts'),
  },
  {
    name: 'rotate',
    summary: 'Give it another secret',
    synonyms: ['secret', 'renew'],
    load: () => import('./rotate.ts'),
  },
  {
    name: 'deliveries',
    summary: 'List what came, with verdicts',
    synonyms: ['inbox', 'log', 'logs', 'events', 'requests'],
    load: () => import('./deliveries.ts'),
  },
  {
    name: 'redeliver',
    summary: 'Run deliveries once more',
    synonyms: ['replay', 'retry', 'resend'],
    load: () => import('./redeliver.ts'),
  },
  {
    name: 'test',
    summary: 'Send a signed sample',
    synonyms: ['try', 'ping', 'trigger', 'sample'],
    load: () => import('./test.ts'),
  },
  {
    name: 'disable',
    summary: 'Take no deliveries',
    synonyms: ['pause', 'stop', 'off'],
    load: () => import('./disable.ts'),
  },
  {
    name: 'enable',
    summary: 'Take deliveries again',
    synonyms: ['resume', 'start', 'on'],
    load: () => import('./enable.ts'),
  },
  { name: 'rm', summary: 'Remove a webhook', synonyms: ['remove', 'delete'], load: () => import('./rm.ts') },
];

export default commandGroup({
  name: 'webhook',
  about:
    'URLs for senders of events: GitHub, Stripe, Slack, Shopify, GitLab, Standard Webhooks, CloudEvents, your own.',
  commands,
  examples: [
    ['wafer webhook add pushes --function build --scheme github', 'prints URL and secret'],
    ['wafer webhook test pushes', 'a signed sample'],
    ['wafer webhook deliveries pushes', 'what came, and what became of it'],
  ],
});
