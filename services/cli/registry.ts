/** The table of commands: enough for the first screen and for suggestions without loading any of them. */
import type { CommandEntry } from './command.ts';

interface Entry extends CommandEntry {
  group: 'Platform' | 'Images' | 'Functions' | 'Watch';
}

export const COMMANDS: readonly Entry[] = [
  {
    name: 'up',
    group: 'Platform',
    summary: 'Start the platform on this machine',
    synonyms: ['start', 'serve', 'run'],
    load: () => import('./commands/up.ts'),
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
  {
    name: 'image',
    group: 'Images',
    summary: 'Pull, push, save, load, inspect, tag and remove images',
    synonyms: ['pull', 'registry', 'login', 'tag', 'save', 'load', 'rmi', 'prune', 'df'],
    load: () => import('./commands/image/index.ts'),
  },
  {
    name: 'images',
    group: 'Images',
    summary: 'List images and the layers that functions share',
    synonyms: ['layers'],
    load: () => import('./commands/images.ts'),
  },
  {
    name: 'build',
    group: 'Platform',
    summary: 'Build an image from a Dockerfile',
    synonyms: ['bud', 'buildx'],
    load: () => import('./commands/build.ts'),
  },
  {
    name: 'init',
    group: 'Functions',
    summary: 'Make a folder with a new function',
    synonyms: ['new', 'create'],
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
    synonyms: ['call', 'exec'],
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
    synonyms: ['get', 'show', 'inspect'],
    load: () => import('./commands/describe.ts'),
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
    name: 'rm',
    group: 'Functions',
    summary: 'Remove a function with all its versions',
    synonyms: ['remove', 'delete', 'destroy'],
    load: () => import('./commands/rm.ts'),
  },
  {
    name: 'schema',
    group: 'Functions',
    summary: 'Print the JSON schema of wafer.json',
    load: () => import('./commands/schema.ts'),
  },
  {
    name: 'logs',
    group: 'Watch',
    summary: 'Print what functions wrote, and follow it',
    synonyms: ['log', 'tail'],
    load: () => import('./commands/logs.ts'),
  },
  {
    name: 'ps',
    group: 'Watch',
    summary: 'List running instances',
    synonyms: ['top', 'instances', 'containers'],
    load: () => import('./commands/ps.ts'),
  },
];

export const GROUPS = ['Platform', 'Functions', 'Images', 'Watch'] as const;
