import { EGRESS_VERDICTS, type StoredEgressEntry } from '../../../core/egress/types.ts';
import { WaferError } from '../../../core/errors.ts';
import { command } from '../../command.ts';
import { egressLog } from '../../egress-client.ts';
import { formatBytes, formatClock, formatMs, safeText } from '../../format.ts';
import { untilInterrupted } from '../../interrupt.ts';
import { parseCount, parseDuration } from '../../numbers.ts';
import type { Ui } from '../../ui.ts';

const STYLES = { allowed: 'green', denied: 'red', failed: 'yellow' } as const;

const targetOf = ({ host, address, port }: StoredEgressEntry): string => {
  const where = host ?? (address?.includes(':') ? `[${address}]` : (address ?? '(several)'));
  return port === 0 ? where : `${where}:${port}`;
};

function showEntry(ui: Ui, entry: StoredEgressEntry): void {
  const { functionName, version, verdict, reason, host, address, bytesUp, bytesDown, durationMs, count } = entry;
  const traffic =
    verdict === 'denied'
      ? safeText(reason)
      : `${formatBytes(bytesUp)} up, ${formatBytes(bytesDown)} down, ${formatMs(durationMs)}${verdict === 'failed' ? `: ${safeText(reason)}` : ''}`;
  const real = host !== undefined && address !== undefined ? ui.paint('dim', ` (${address})`) : '';
  const times = count > 1 ? `  ${count}x` : '';
  const origin = ui.paint('dim', `${formatClock(entry.time)}  ${functionName} v${version}`);
  ui.out(`${origin}  ${ui.paint(STYLES[verdict], verdict)}  ${safeText(targetOf(entry))}${real}${times}  ${traffic}`);
}

export default command({
  name: 'egress log',
  about:
    'Prints where functions connected to, or tried to, oldest first: a line when a connection ends or is refused. Equal ones of a second are one line. Ctrl-C stops following.',
  args: {
    function: { type: 'positional', description: 'Name of a function; without it, all of them', required: false },
    follow: { type: 'boolean', alias: 'f', description: 'Go on with new lines as they come' },
    verdict: { type: 'string', valueHint: 'VERDICT', description: `Only ${EGRESS_VERDICTS.join(', ')} ones` },
    since: { type: 'string', valueHint: 'SPAN', description: 'Only the last 30s, 10m, 2h, 1d' },
    tail: { type: 'string', alias: ['n', 'limit'], valueHint: 'LINES', description: 'At most so many of the newest' },
    json: { type: 'boolean', description: 'Print one JSON object a line, for programs' },
  },
  examples: [
    ['wafer egress log hello', 'the newest connections of one function'],
    ['wafer egress log --verdict denied --since 1h', 'what was refused in the last hour'],
    ['wafer egress log -f', 'all functions, as it happens'],
  ],
  run: async ({ function: name, follow, verdict, since, tail, json }, { ui, env }) => {
    if (verdict !== undefined && !EGRESS_VERDICTS.some((one) => one === verdict))
      throw new WaferError('usage', `--verdict is one of ${EGRESS_VERDICTS.join(', ')}, not "${verdict}".`);
    const entries = egressLog(env, {
      function: name,
      verdict,
      follow: follow === true,
      since: since === undefined ? undefined : Date.now() - parseDuration('--since', since),
      limit: tail === undefined ? undefined : parseCount('--tail', tail),
      ...(follow === true ? { signal: untilInterrupted() } : {}),
    });
    let lines = 0;
    for await (const entry of entries) {
      lines++;
      if (json) ui.out(JSON.stringify(entry));
      else showEntry(ui, entry);
    }
    if (lines === 0 && !json && !follow)
      ui.err(name === undefined ? 'There is no entry of that time.' : `There is no entry of ${name} of that time.`);
  },
});
