import { type CommandEntry, commandGroup } from '../../command.ts';

const commands: readonly CommandEntry[] = [
  {
    name: 'secret',
    summary: 'Print the secret that receivers check signatures with',
    synonyms: ['show', 'key', 'get'],
    load: () => import('./secret.ts'),
  },
  {
    name: 'rotate',
    summary: 'Sign with a new one, and with the present one for a while',
    synonyms: ['renew', 'roll'],
    load: () => import('./rotate.ts'),
  },
];

export default commandGroup({
  name: 'callbacks',
  about: 'The secret that signs callbacks, as Standard Webhooks say. What was delivered: wafer invocations deliveries.',
  commands,
  examples: [
    ['wafer callbacks secret', 'for the receiver'],
    ['wafer callbacks rotate --keep 2h', 'a new one; both sign for two hours'],
  ],
});
