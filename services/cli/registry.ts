/** The table of commands: enough for the first screen and for suggestions without loading any of them. */
import type { CommandEntry } from './command.ts';

interface Entry extends CommandEntry {
  group: 'Platform' | 'Images' | 'Functions' | 'Containers';
  /** One of many: the first screen has only its name. */
  isMinor?: boolean;
}

const PLATFORM: readonly Entry[] = [
  {
    name: 'up',
    group: 'Platform',
    summary: 'Start the platform on this machine',
    synonyms: ['serve', 'daemon'],
    load: () => import('./commands/up.ts'),
  },
  {
    name: 'worker',
    group: 'Platform',
    summary: 'Join a platform as one more worker for accepted calls',
    synonyms: ['join', 'agent'],
    load: () => import('./commands/worker.ts'),
  },
  {
    name: 'doctor',
    group: 'Platform',
    summary: 'Say what this machine allows, and how to fix what it does not',
    synonyms: ['check', 'probe', 'info', 'status'],
    load: () => import('./commands/doctor.ts'),
  },
  {
    name: 'config',
    group: 'Platform',
    summary: 'Print every setting with its value',
    synonyms: ['settings', 'env'],
    load: () => import('./commands/config.ts'),
  },
];

const IMAGES: readonly Entry[] = [
  {
    name: 'build',
    group: 'Images',
    summary: 'Build an image from a Dockerfile',
    synonyms: ['bud', 'buildx'],
    load: () => import('./commands/build.ts'),
  },
  {
    name: 'images',
    group: 'Images',
    summary: 'List images and the layers that functions share',
    synonyms: ['layers'],
    load: () => import('./commands/images.ts'),
  },
  {
    name: 'image',
    group: 'Images',
    summary: 'Pull, push, save, load, inspect, tag and remove images',
    synonyms: ['pull', 'registry', 'login', 'tag', 'save', 'load', 'rmi', 'prune', 'df'],
    load: () => import('./commands/image/index.ts'),
  },
];

const FUNCTIONS: readonly Entry[] = [
  {
    name: 'init',
    group: 'Functions',
    summary: 'Make a folder with a new function',
    synonyms: ['new'],
    load: () => import('./commands/init.ts'),
  },
  {
    name: 'deploy',
    group: 'Functions',
    summary: 'Build a folder and make it the live version',
    synonyms: ['push', 'publish', 'apply'],
    load: () => import('./commands/deploy.ts'),
  },
  {
    name: 'invoke',
    group: 'Functions',
    summary: 'Call a function and print its result',
    synonyms: ['call'],
    load: () => import('./commands/invoke.ts'),
  },
  {
    name: 'list',
    group: 'Functions',
    summary: 'List functions',
    synonyms: ['ls', 'functions'],
    load: () => import('./commands/list.ts'),
  },
  {
    name: 'describe',
    group: 'Functions',
    summary: 'Show one function: versions, aliases, settings',
    synonyms: ['get', 'show'],
    load: () => import('./commands/describe.ts'),
  },
  {
    name: 'explain',
    group: 'Functions',
    summary: 'Show where the time of its first calls goes, and what would help',
    synonyms: ['why', 'profile', 'cold', 'latency'],
    load: () => import('./commands/explain.ts'),
  },
  {
    name: 'versions',
    group: 'Functions',
    summary: 'List the versions of a function',
    synonyms: ['history', 'releases'],
    load: () => import('./commands/versions.ts'),
  },
  {
    name: 'rollback',
    group: 'Functions',
    summary: 'Make an earlier version live',
    synonyms: ['undo', 'revert'],
    load: () => import('./commands/rollback.ts'),
  },
  {
    name: 'logs',
    group: 'Functions',
    summary: 'Print what functions and containers wrote, and follow it',
    synonyms: ['log', 'tail'],
    load: () => import('./commands/logs.ts'),
  },
  {
    name: 'egress',
    group: 'Functions',
    summary: 'Print what functions connected to, and what was refused',
    synonyms: ['network', 'outbound', 'firewall'],
    load: () => import('./commands/egress/index.ts'),
  },
  {
    name: 'rm',
    group: 'Functions',
    summary: 'Remove a function with all its versions, or a container',
    synonyms: ['remove', 'delete', 'destroy'],
    load: () => import('./commands/rm.ts'),
  },
  {
    name: 'invocations',
    group: 'Functions',
    summary: 'What was called or accepted: list, timeline, cancel, replay',
    synonyms: ['calls', 'runs', 'jobs', 'invocation', 'activations'],
    load: () => import('./commands/invocations/index.ts'),
  },
  {
    name: 'dlq',
    group: 'Functions',
    summary: 'Dead letters: what failed for good; redrive or purge',
    synonyms: ['dead-letters', 'failed'],
    load: () => import('./commands/dlq/index.ts'),
  },
  {
    name: 'schedule',
    group: 'Functions',
    summary: 'Functions by the clock: cron, every so often, once',
    synonyms: ['cron', 'schedules', 'timer', 'at'],
    load: () => import('./commands/schedule/index.ts'),
  },
  {
    name: 'callbacks',
    group: 'Functions',
    summary: 'The secret that signs callbacks: show, rotate',
    synonyms: ['callback', 'signing'],
    load: () => import('./commands/callbacks/index.ts'),
  },
  {
    name: 'webhook',
    group: 'Functions',
    summary: 'Functions by webhooks: GitHub, Stripe, Slack, your own',
    synonyms: ['webhooks', 'hook', 'hooks'],
    load: () => import('./commands/webhook/index.ts'),
  },
  {
    name: 'volume',
    group: 'Functions',
    summary: 'Storage that outlives instances and versions',
    synonyms: ['volumes', 'vol', 'storage'],
    load: () => import('./commands/volume/index.ts'),
  },
  {
    name: 'secret',
    group: 'Functions',
    summary: 'Values that functions get and nobody is shown: set, rotate',
    synonyms: ['secrets', 'password', 'token'],
    load: () => import('./commands/secret/index.ts'),
  },
  {
    name: 'schema',
    group: 'Functions',
    summary: 'Print the JSON schema of wafer.json',
    load: () => import('./commands/schema.ts'),
  },
];

const container = (
  name: string,
  summary: string,
  load: CommandEntry['load'],
  more: { synonyms?: readonly string[]; isMinor?: boolean } = {},
): Entry => ({ name, group: 'Containers', summary, load, ...more });
const minor = { isMinor: true } as const;

const CONTAINERS: readonly Entry[] = [
  container('run', 'Make a container of an image and start it', () => import('./commands/run.ts'), {
    synonyms: ['launch'],
  }),
  container('ps', 'List what runs: containers and instances of functions', () => import('./commands/ps.ts'), {
    synonyms: ['instances', 'containers'],
  }),
  container('exec', 'Run another program in a container', () => import('./commands/exec.ts'), {
    synonyms: ['shell', 'enter', 'sh'],
  }),
  container('stop', 'Stop containers, gently at first', () => import('./commands/stop.ts')),
  container('cp', 'Copy files between a container and this machine', () => import('./commands/cp.ts'), {
    synonyms: ['copy'],
  }),
  container('compose', 'Run the services of a compose file', () => import('./commands/compose/index.ts'), {
    synonyms: ['docker-compose'],
  }),
  container('create', 'Make a container without starting it', () => import('./commands/create.ts'), minor),
  container('start', 'Start containers that do not run', () => import('./commands/start.ts'), minor),
  container('restart', 'Stop containers and start them again', () => import('./commands/restart.ts'), {
    synonyms: ['reload'],
    ...minor,
  }),
  container('attach', 'Go to the main program of a container', () => import('./commands/attach.ts'), minor),
  container('kill', 'Send a signal to containers', () => import('./commands/kill.ts'), {
    synonyms: ['signal'],
    ...minor,
  }),
  container('pause', 'Hold every process of a container', () => import('./commands/pause.ts'), {
    synonyms: ['freeze'],
    ...minor,
  }),
  container('unpause', 'Let a paused container go on', () => import('./commands/unpause.ts'), {
    synonyms: ['resume', 'thaw', 'continue'],
    ...minor,
  }),
  container('wait', 'Wait for containers to end', () => import('./commands/wait.ts'), minor),
  container('top', 'List the processes of a container', () => import('./commands/top.ts'), minor),
  container('stats', 'Show what containers use', () => import('./commands/stats.ts'), {
    synonyms: ['usage'],
    ...minor,
  }),
  container('inspect', 'Print everything about something as JSON', () => import('./commands/inspect.ts'), minor),
  container('diff', 'List what a container changed', () => import('./commands/diff.ts'), {
    synonyms: ['changes'],
    ...minor,
  }),
  container('commit', 'Make an image of a container', () => import('./commands/commit.ts'), minor),
  container('export', 'Write the file system of a container as a tar', () => import('./commands/export.ts'), minor),
  container('rename', 'Give a container another name', () => import('./commands/rename.ts'), {
    synonyms: ['mv'],
    ...minor,
  }),
  container('container', 'Containers together: prune', () => import('./commands/container/index.ts'), minor),
];

export const COMMANDS: readonly Entry[] = [...FUNCTIONS, ...IMAGES, ...CONTAINERS, ...PLATFORM];

export const GROUPS = ['Functions', 'Images', 'Containers', 'Platform'] as const;
