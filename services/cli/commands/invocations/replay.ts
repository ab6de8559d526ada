import type { Invocation } from '../../../core/invocations/view.ts';
import { command, jsonFlag } from '../../command.ts';
import { formatMs } from '../../format.ts';
import { createInvocationClient, type InvocationClient } from '../../invocation-client.ts';
import { compareBodies } from '../../invocations/compare.ts';
import { parseCount } from '../../numbers.ts';
import type { Ui } from '../../ui.ts';

export default command({
  name: 'invocations replay',
  about:
    'Runs the stored request of an accepted invocation again, on the same or another version, and shows what is different.',
  args: {
    id: { type: 'positional', description: 'Id of the invocation', required: true },
    version: { type: 'string', valueHint: 'NUMBER', description: 'Version to run it on (default: the same)' },
    detach: { type: 'boolean', alias: 'd', description: 'Do not wait for its end' },
    ...jsonFlag,
  },
  examples: [
    ['wafer invocations replay ID --version 4', 'does the new version answer the same?'],
    ['wafer invocations replay ID -d', 'only start it'],
  ],
  run: async ({ id, version, detach, json }, { ui, env }) => {
    const client = createInvocationClient(env);
    const { id: again } = await client.replay(id, version === undefined ? undefined : parseCount('--version', version));
    if (detach) return json ? ui.json({ id: again }) : ui.out(again);
    const [then, now] = [await client.get(id), await client.untilEnded(again)];
    const lines = await differences(client, then, now);
    if (json) ui.json({ then, now, differences: lines });
    else show(ui, then, now, lines);
    return now.state === 'succeeded' ? 0 : 1;
  },
});

function show(ui: Ui, then: Invocation, now: Invocation, lines: readonly string[]): void {
  const row = (one: Invocation) => [`v${one.version}`, one.state, outcome(one), formatMs(handlerMs(one)), one.id];
  ui.table(
    [
      { header: '' },
      { header: 'VERSION' },
      { header: 'STATE' },
      { header: 'OUTCOME' },
      { header: 'HANDLER', align: 'right' },
      { header: 'INVOCATION' },
    ],
    [
      ['then', ...row(then)],
      ['now', ...row(now)],
    ],
  );
  ui.out(lines.length === 0 ? 'The answer is the same, byte for byte.' : 'The answer is different:');
  for (const line of lines) ui.out(line.startsWith('-') ? ui.paint('red', line) : ui.paint('green', line));
}

const outcome = (one: Invocation) => one.outcome?.kind ?? '';
const handlerMs = (one: Invocation) => one.receipt?.phases.handler ?? one.durationMs;

async function differences(client: InvocationClient, then: Invocation, now: Invocation): Promise<string[]> {
  const body = async (one: Invocation) => (one.result === undefined ? null : await client.bytes(one.id, 'result'));
  if (then.result !== undefined && then.result.digest === now.result?.digest) return [];
  return compareBodies(await body(then), await body(now));
}
