import { command, jsonFlag } from '../../command.ts';
import { formatAge } from '../../format.ts';
import { createSecretClient } from '../../secret-client.ts';

export default command({
  name: 'secret ls',
  about: 'Lists the secrets, their versions, and the functions that use them. Values are shown nowhere.',
  args: { ...jsonFlag },
  examples: [['wafer secret ls', 'a table']],
  run: async ({ json }, { ui, env }) => {
    const secrets = await createSecretClient(env).list();
    if (json) return ui.json(secrets);
    if (secrets.length === 0) return ui.out('There are no secrets. Set one: wafer secret set NAME');
    const now = Date.now();
    ui.table(
      [{ header: 'SECRET', style: 'bold' }, { header: 'VERSIONS' }, { header: 'SET' }, { header: 'USED BY' }],
      secrets.map(({ name, versions, createdAt, usedBy }) => [
        name,
        versions.map(({ version }) => version).join(', '),
        formatAge(versions.at(-1)?.createdAt ?? createdAt, now),
        usedBy.join(', '),
      ]),
    );
  },
});
