import { createInterface } from 'node:readline/promises';
import { WaferError } from '../../core/errors.ts';
import { createClient } from '../client.ts';
import { command, nameArgument } from '../command.ts';
import { count } from '../format.ts';

/** Asks on the terminal; the prompt goes to stderr. */
async function confirm(question: string): Promise<boolean> {
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await prompt.question(`${question} [y/N] `)).trim());
  } finally {
    prompt.close();
  }
}

export default command({
  name: 'rm',
  about: 'Removes a function with all its versions, aliases and logs. It can not be brought back.',
  args: { ...nameArgument, yes: { type: 'boolean', alias: 'y', description: 'Do not ask' } },
  examples: [
    ['wafer rm hello', 'asks first'],
    ['wafer rm hello --yes', 'for scripts'],
  ],
  run: async ({ name, yes }, { ui, env }) => {
    const client = createClient(env);
    const { versions } = await client.versions(name);
    if (!yes) {
      if (process.stdin.isTTY !== true) {
        throw new WaferError('usage', `Nobody can be asked whether to remove ${name}.`, { hint: 'Add --yes.' });
      }
      if (!(await confirm(`Remove ${name} with ${count(versions.length, 'version')}?`))) {
        ui.err('Nothing was removed.');
        return 1;
      }
    }
    await client.remove(name);
    ui.out(`${ui.paint('green', '✓')} ${name} was removed with ${count(versions.length, 'version')}.`);
    return 0;
  },
});
