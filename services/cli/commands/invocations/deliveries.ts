import type { Delivery } from '../../../core/triggers/callbacks/types.ts';
import { command, jsonFlag } from '../../command.ts';
import { formatAge, formatClock, formatMs, safeText } from '../../format.ts';
import { createInvocationClient } from '../../invocation-client.ts';
import type { Ui } from '../../ui.ts';

const COLOURS = { pending: 'cyan', delivered: 'green', failed: 'red', gone: 'yellow' } as const;

function show(ui: Ui, deliveries: readonly Delivery[], now: number): void {
  for (const [index, { target, to, state, messageId, attempts, next, invocation }] of deliveries.entries()) {
    if (index > 0) ui.out();
    const rows: [string, string | undefined][] = [
      ['Delivery', target],
      ['To', safeText(to)],
      ['State', ui.paint(COLOURS[state], state)],
      ['Started', invocation],
      ['Message', messageId],
      ['Next', next === undefined ? undefined : next <= now ? 'now' : `in ${formatAge(now, next)}`],
    ];
    ui.pairs(rows.flatMap(([label, text]): [string, string][] => (text === undefined ? [] : [[label, text]])));
    for (const { at, durationMs, status, code, error } of attempts) {
      const parts = [formatClock(at), formatMs(durationMs), status === undefined ? '' : String(status), code ?? ''];
      ui.out([...parts, safeText(error ?? '')].filter((part) => part !== '').join('  '));
    }
  }
}

export default command({
  name: 'invocations deliveries',
  about:
    'Shows what follows an invocation that has ended: its callback, and onSuccess or onFailure of its version, with every attempt.',
  args: { id: { type: 'positional', description: 'Id of the invocation', required: true }, ...jsonFlag },
  examples: [
    ['wafer invocations deliveries ID', 'did the receiver get it?'],
    ['wafer invocations redeliver ID callback', 'send it once more'],
  ],
  run: async ({ id, json }, { ui, env }) => {
    const deliveries = await createInvocationClient(env).deliveries(id);
    if (json) return ui.json(deliveries);
    if (deliveries.length === 0) return ui.out('Nothing follows it, or it has not ended.');
    show(ui, deliveries, Date.now());
  },
});
