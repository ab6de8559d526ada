import { type CommandEntry, commandGroup } from '../../command.ts';

const commands: readonly CommandEntry[] = [
  {
    name: 'up',
    summary: 'Start the services, and show what they write',
    synonyms: ['start', 'run', 'create'],
    load: () => import('./up.ts'),
  },
  {
    name: 'ps',
    summary: 'List the containers of the project',
    synonyms: ['ls', 'list', 'status'],
    load: () => import('./ps.ts'),
  },
  { name: 'logs', summary: 'Print what the services wrote', synonyms: ['log'], load: () => import('./logs.ts') },
  {
    name: 'down',
    summary: 'Stop the services and remove their containers',
    synonyms: ['stop', 'rm', 'kill'],
    load: () => import('./down.ts'),
  },
  {
    name: 'config',
    summary: 'Print the project as it is understood',
    synonyms: ['convert', 'check'],
    load: () => import('./config.ts'),
  },
];

export default commandGroup({
  name: 'compose',
  about:
    'Runs the services of a compose file (compose.yaml, docker-compose.yml). docs/compose.md lists the keys it knows.',
  commands,
  // As people write them: docker compose -f FILE up.
  leading: { '-f': '--file', '--file': '--file', '-p': '--project-name', '--project-name': '--project-name' },
  examples: [
    ['wafer compose up', 'start everything here; ctrl-C stops it'],
    ['wafer compose up -d --build', 'in the background, images built again'],
    ['wafer compose -f other.yaml down', 'another file'],
  ],
});
