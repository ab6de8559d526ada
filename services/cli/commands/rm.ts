import { createInterface } from 'node:readline/promises';
import { WaferError } from '../../core/errors.ts';
import { command } from '../command.ts';
import { forEach } from '../containers/arguments.ts';
import { createFinder, type Finder, whichFlags } from '../containers/which.ts';
import { count } from '../format.ts';
import type { Ui } from '../ui.ts';

/** Asks on the terminal; the prompt goes to stderr. */
async function confirm(question: string): Promise<boolean> {
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await prompt.question(`${question} [y/N] `)).trim());
  } finally {
    prompt.close();
  }
}

/** @throws WaferError `usage` when nobody can be asked; false when the answer was no */
async function removeFunction(finder: Finder, name: string, yes: boolean, ui: Ui): Promise<boolean> {
  const { versions } = await finder.functions.versions(name);
  if (!yes) {
    if (process.stdin.isTTY !== true) {
      throw new WaferError('usage', `Nobody can be asked whether to remove the function ${name}.`, {
        hint: 'Add --yes.',
      });
    }
    if (!(await confirm(`Remove the function ${name} with ${count(versions.length, 'version')}?`))) {
      ui.err('Nothing was removed.');
      return false;
    }
  }
  await finder.functions.remove(name);
  ui.out(`${ui.paint('green', '✓')} ${name} was removed with ${count(versions.length, 'version')}.`);
  return true;
}

export default command({
  name: 'rm',
  about:
    'Removes functions, with all their versions, aliases and logs, or containers, with their writable layer. They can not be brought back.',
  args: {
    name: { type: 'positional', description: 'Name of a function; name or id of a container', required: true },
    yes: { type: 'boolean', alias: 'y', description: 'Do not ask before a function is removed' },
    force: { type: 'boolean', alias: 'f', description: 'Kill a container that runs' },
    ...whichFlags,
  },
  many: true,
  examples: [
    ['wafer rm hello', 'a function: asks first'],
    ['wafer rm hello --yes', 'for scripts'],
    ['wafer rm -f web db', 'containers, running or not'],
  ],
  run: async ({ yes, force, ...which }, { ui, env, positionals }) => {
    const finder = createFinder(env);
    let refused = 0;
    const code = await forEach(positionals, ui, async (name) => {
      const found = await finder.find(name, which);
      if (found.kind === 'function') {
        if (!(await removeFunction(finder, name, yes === true, ui))) refused = 1;
        return;
      }
      await finder.containers.remove(found.container.id, force === true);
      ui.out(`${ui.paint('green', '✓')} ${found.container.name} was removed.`);
    });
    return code || refused;
  },
});
