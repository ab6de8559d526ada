import { WaferError } from '../../core/errors.ts';
import type { FunctionVersion } from '../../core/functions/types.ts';
import { createClient } from '../client.ts';
import { command, jsonFlag, nameArgument } from '../command.ts';
import { parseCount } from '../numbers.ts';

/** The newest version below the live one. */
function versionBefore(name: string, live: number, versions: FunctionVersion[]): number {
  const earlier = versions.map((version) => version.number).filter((number) => number < live);
  if (earlier.length === 0) {
    throw new WaferError('conflict', `${name} has no version before v${live}, which is live.`, {
      hint: `"wafer versions ${name}" lists them.`,
    });
  }
  return Math.max(...earlier);
}

export default command({
  name: 'rollback',
  about: 'Makes an earlier version live. Calls that run finish on the version they began with.',
  args: {
    ...nameArgument,
    to: { type: 'string', valueHint: 'VERSION', description: 'Version to make live; default: the one before live' },
    ...jsonFlag,
  },
  examples: [
    ['wafer rollback hello', 'to the version before the live one'],
    ['wafer rollback hello --to 3', 'to version 3; forward works as well'],
  ],
  run: async ({ name, to, json }, { ui, env }) => {
    const client = createClient(env);
    const wanted = to === undefined ? null : parseCount('--to', to);
    const { versions, aliases } = await client.versions(name);
    const live = aliases['live'] ?? 0;
    const target = wanted ?? versionBefore(name, live, versions);
    const record = await client.setAlias(name, 'live', target);
    if (json) return ui.json(record);
    if (target === live) ui.out(`${name} v${target} was live already.`);
    else ui.out(`${ui.paint('green', '✓')} ${name} v${target} is live; it was v${live}.`);
  },
});
