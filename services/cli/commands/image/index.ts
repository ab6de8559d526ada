import { type CommandEntry, commandGroup } from '../../command.ts';

const commands: readonly CommandEntry[] = [
  { name: 'ls', summary: 'List images', synonyms: ['list', 'images'], load: () => import('./ls.ts') },
  {
    name: 'inspect',
    summary: 'Show one image: config and layers',
    synonyms: ['show'],
    load: () => import('./inspect.ts'),
  },
  {
    name: 'history',
    summary: 'Show the steps that made an image',
    synonyms: ['log'],
    load: () => import('./history.ts'),
  },
  { name: 'tag', summary: 'Give an image another name', synonyms: ['name', 'rename'], load: () => import('./tag.ts') },
  {
    name: 'rm',
    summary: 'Remove a name; the image goes with its last one',
    synonyms: ['remove', 'delete', 'rmi', 'untag'],
    load: () => import('./rm.ts'),
  },
  {
    name: 'prune',
    summary: 'Remove what nothing refers to',
    synonyms: ['gc', 'clean'],
    load: () => import('./prune.ts'),
  },
  {
    name: 'tree',
    summary: 'Draw which images and functions share which layers',
    synonyms: ['layers', 'graph'],
    load: () => import('./tree.ts'),
  },
  { name: 'df', summary: 'What images take on disk', synonyms: ['du', 'usage'], load: () => import('./df.ts') },
  { name: 'save', summary: 'Write an image into an archive', load: () => import('./save.ts') },
  { name: 'load', summary: 'Take the images of an archive', load: () => import('./load.ts') },
  {
    name: 'import',
    summary: 'Make an image from the tar of a root file system',
    load: () => import('./import.ts'),
  },
  {
    name: 'export',
    summary: 'Write the root file system of an image as a tar',
    load: () => import('./export.ts'),
  },
  {
    name: 'pull',
    summary: 'Bring an image from a registry',
    synonyms: ['get', 'fetch'],
    load: () => import('./pull.ts'),
  },
  { name: 'push', summary: 'Bring an image to a registry', synonyms: ['upload'], load: () => import('./push.ts') },
  {
    name: 'search',
    summary: 'Find repositories of a registry',
    synonyms: ['find', 'catalog'],
    load: () => import('./search.ts'),
  },
  { name: 'login', summary: 'Keep a name and a password for a registry', load: () => import('./login.ts') },
  { name: 'logout', summary: 'Forget them', load: () => import('./logout.ts') },
];

export default commandGroup({
  name: 'image',
  about: 'Images: layers, registries and archives.',
  commands,
  examples: [
    ['wafer image pull registry.example/team/app:v1', 'from a registry'],
    ['wafer image history registry.example/team/app:v1', 'its layers and who made them'],
    ['wafer image save node24 -o node24.tar', 'for other tools'],
  ],
});
