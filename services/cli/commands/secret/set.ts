import { command, jsonFlag } from '../../command.ts';
import { createSecretClient } from '../../secret-client.ts';
import { showChange } from './show-change.ts';
import { readValue, secretArgument, valueFlags } from './value.ts';

export default command({
  name: 'secret set',
  about:
    'Sets a secret, or gives it one more version. The value is read from stdin, without the newline at its end, or asked for on the terminal. Functions that follow the secret get it in new instances.',
  args: { ...secretArgument, ...valueFlags, ...jsonFlag },
  examples: [
    ['wafer secret set db-password', 'asks, without showing what is typed'],
    ['pass show db | wafer secret set db-password', 'from another program'],
    ['wafer secret set tls-key --file key.pem', 'a file, byte for byte'],
  ],
  run: async ({ name, file, random, json }, { ui, env, cwd }) => {
    const change = await createSecretClient(env).set(name, await readValue(name, { file, random }, cwd));
    if (json) return ui.json(change);
    showChange(ui, change);
  },
});
