import { command, jsonFlag } from '../../command.ts';
import { formatAge } from '../../format.ts';
import { createInvocationClient } from '../../invocation-client.ts';
import { parseDuration } from '../../numbers.ts';

export default command({
  name: 'callbacks rotate',
  about:
    'Makes a new secret. Until its time is over the present one signs as well, so that receivers can change in between.',
  args: {
    keep: {
      type: 'string',
      valueHint: 'SPAN',
      description: 'How long the present one signs, too (default 1d; 0s: not)',
    },
    ...jsonFlag,
  },
  examples: [
    ['wafer callbacks rotate', 'both sign for a day'],
    ['wafer callbacks rotate --keep 0s', 'the present one is known to others'],
  ],
  run: async ({ keep, json }, { ui, env }) => {
    const keepMs = keep === undefined ? undefined : parseDuration('--keep', keep);
    const secrets = await createInvocationClient(env).rotateCallbackSecret(keepMs);
    if (json) return ui.json(secrets);
    ui.out(secrets.secret);
    const [before] = secrets.previous;
    ui.err(
      before === undefined
        ? 'The one before signs nothing any more.'
        : `The one before signs, too, for ${formatAge(Date.now(), before.until)} more.`,
    );
  },
});
