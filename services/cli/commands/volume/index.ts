import { type CommandEntry, commandGroup } from '../../command.ts';

const commands: readonly CommandEntry[] = [
  { name: 'create', summary: 'Make a volume', synonyms: ['add', 'new', 'make'], load: () => import('./create.ts') },
  { name: 'ls', summary: 'List volumes', synonyms: ['list'], load: () => import('./ls.ts') },
  {
    name: 'inspect',
    summary: 'Show one: what it takes, who mounts it, its snapshots',
    synonyms: ['show', 'describe', 'get', 'usage'],
    load: () => import('./inspect.ts'),
  },
  { name: 'files', summary: 'List what is in it', synonyms: ['tree', 'dir'], load: () => import('./files.ts') },
  { name: 'cat', summary: 'Print a file', synonyms: ['read', 'download'], load: () => import('./cat.ts') },
  { name: 'cp', summary: 'Copy files in or out', synonyms: ['copy'], load: () => import('./cp.ts') },
  { name: 'export', summary: 'Write all of it as a tar', synonyms: ['save'], load: () => import('./export.ts') },
  { name: 'import', summary: 'Unpack a tar into it', synonyms: ['load'], load: () => import('./import.ts') },
  {
    name: 'snapshot',
    summary: 'Keep its state under a name',
    synonyms: ['snap', 'checkpoint'],
    load: () => import('./snapshot.ts'),
  },
  {
    name: 'rollback',
    summary: 'Give it the state of a snapshot again',
    synonyms: ['restore', 'revert'],
    load: () => import('./rollback.ts'),
  },
  {
    name: 'limit',
    summary: 'Change what it may take',
    synonyms: ['quota', 'resize'],
    load: () => import('./limit.ts'),
  },
  {
    name: 'rm',
    summary: 'Remove volumes, or a snapshot',
    synonyms: ['remove', 'delete'],
    load: () => import('./rm.ts'),
  },
  {
    name: 'prune',
    summary: 'Remove those that no function mounts',
    synonyms: ['clean'],
    load: () => import('./prune.ts'),
  },
];

export default commandGroup({
  name: 'volume',
  about: 'Storage that outlives instances and versions; a function names it in "volumes" of its wafer.json.',
  commands,
  examples: [
    ['wafer volume create reports', 'for "volumes": [{"volume": "reports", "path": "/data"}]'],
    ['wafer volume create counter --tx exclusive', 'for mode "tx": what a failed call wrote is not there'],
    ['wafer volume cp reports:/chart.svg .', 'fetch a file'],
  ],
});
