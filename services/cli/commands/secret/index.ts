import { type CommandEntry, commandGroup } from '../../command.ts';

const commands: readonly CommandEntry[] = [
  {
    name: 'set',
    summary: 'Set a secret, or give it one more version',
    synonyms: ['add', 'create', 'put', 'new'],
    load: () => import('./set.ts'),
  },
  {
    name: 'ls',
    summary: 'List secrets, without their values',
    synonyms: ['list', 'show', 'get'],
    load: () => import('./ls.ts'),
  },
  {
    name: 'rotate',
    summary: 'Give it a new version and forget those before',
    synonyms: ['renew', 'roll', 'update'],
    load: () => import('./rotate.ts'),
  },
  { name: 'rm', summary: 'Remove a secret', synonyms: ['remove', 'delete', 'unset'], load: () => import('./rm.ts') },
];

export default commandGroup({
  name: 'secret',
  about:
    'Values that functions get and nobody is shown. In wafer.json: "secrets": ["NAME"] is a file /run/secrets/NAME, "secretEnv": {"VARIABLE": "NAME"} a variable.',
  commands,
  examples: [
    ['wafer secret set db-password', 'asks for the value'],
    ['wafer secret rotate db-password < new-password', 'running instances are replaced'],
  ],
});
