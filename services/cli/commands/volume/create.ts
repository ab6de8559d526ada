import { WaferError } from '../../../core/errors.ts';
import { TX_POLICIES } from '../../../core/volumes/types.ts';
import { command, jsonFlag } from '../../command.ts';
import { parseBytes, parseCount } from '../../numbers.ts';
import { createVolumeClient } from '../../volume-client.ts';
import { limitFlags, volumeArgument } from './arguments.ts';

function readPolicy(text: string | undefined): { transactions?: (typeof TX_POLICIES)[number] } {
  if (text === undefined) return {};
  const transactions = TX_POLICIES.find((known) => known === text);
  if (transactions !== undefined) return { transactions };
  throw new WaferError('usage', `--tx ${text} is not one of ${TX_POLICIES.join(', ')}.`);
}

export default command({
  name: 'volume create',
  about: 'Makes a volume.',
  args: {
    ...volumeArgument,
    tx: {
      type: 'string',
      valueHint: TX_POLICIES.join('|'),
      description: 'With transactions: writers wait for one another, or the later of two that overlap fails',
    },
    ...limitFlags,
    ...jsonFlag,
  },
  examples: [
    ['wafer volume create reports', 'functions write to it as they go'],
    ['wafer volume create counter --tx exclusive', 'a call changes it as a whole, or not at all'],
    ['wafer volume create scratch --size 500m --inodes 10000', 'with limits'],
  ],
  run: async ({ name, tx, size, inodes, json }, { ui, env }) => {
    const volume = await createVolumeClient(env).create(name, {
      ...readPolicy(tx),
      ...(size === undefined ? {} : { maxBytes: parseBytes('--size', size) }),
      ...(inodes === undefined ? {} : { maxEntries: parseCount('--inodes', inodes) }),
    });
    if (json) return ui.json(volume);
    const mode = volume.transactions === null ? 'rw' : 'tx';
    ui.out(`${ui.paint('green', '✓')} ${name} is there.`);
    ui.out(`  wafer.json: "volumes": [{"volume": "${name}", "path": "/data", "mode": "${mode}"}]`);
  },
});
