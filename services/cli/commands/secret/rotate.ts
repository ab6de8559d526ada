import { command, jsonFlag } from '../../command.ts';
import { createSecretClient } from '../../secret-client.ts';
import { showChange } from './show-change.ts';
import { readValue, secretArgument, valueFlags } from './value.ts';

export default command({
  name: 'secret rotate',
  about:
    'Gives a secret a new version and forgets those before it, but for versions that functions pin (NAME@3). Idle instances that have an older one end at once, busy ones with their calls.',
  args: { ...secretArgument, ...valueFlags, ...jsonFlag },
  examples: [
    ['wafer secret rotate db-password < new-password', 'a value from elsewhere'],
    ['wafer secret rotate session-key --random', 'one that nobody has to know'],
  ],
  run: async ({ name, file, random, json }, { ui, env, cwd }) => {
    const change = await createSecretClient(env).rotate(name, await readValue(name, { file, random }, cwd));
    if (json) return ui.json(change);
    showChange(ui, change);
  },
});
