import { command, jsonFlag } from '../../command.ts';
import { formatAge } from '../../format.ts';
import { createInvocationClient } from '../../invocation-client.ts';

export default command({
  name: 'callbacks secret',
  about:
    'Prints the secret that signs every callback. Receivers give it to any library for Standard Webhooks. Made when it is first asked for.',
  args: { ...jsonFlag },
  examples: [['wafer callbacks secret', 'whsec_...']],
  run: async ({ json }, { ui, env }) => {
    const secrets = await createInvocationClient(env).callbackSecrets();
    if (json) return ui.json(secrets);
    ui.out(secrets.secret);
    const now = Date.now();
    for (const { until } of secrets.previous) ui.err(`One before it signs, too, for ${formatAge(now, until)} more.`);
  },
});
