/** Invocations for people: a table, and one with its timeline. */
import type { Used } from '../../core/invocations/types.ts';
import type { Invocation } from '../../core/invocations/view.ts';
import { formatAge, formatAgo, formatBytes, formatClock, formatMs, safeText } from '../format.ts';
import type { Ui } from '../ui.ts';

const COLOURS = {
  queued: 'cyan',
  running: 'blue',
  succeeded: 'green',
  failed: 'red',
  cancelled: 'dim',
  expired: 'yellow',
} as const;

const MAX_REASON = 60;

export function showInvocations(ui: Ui, invocations: readonly Invocation[], now: number): void {
  ui.table(
    [
      { header: 'INVOCATION' },
      { header: 'FUNCTION', style: 'bold' },
      { header: 'TRIGGER' },
      { header: 'STATE' },
      { header: 'ATTEMPTS', align: 'right' },
      { header: 'TOOK', align: 'right' },
      { header: 'ACCEPTED', align: 'right' },
      { header: 'OUTCOME' },
    ],
    invocations.map((one) => [
      one.id,
      `${one.functionName} v${one.version}`,
      one.trigger,
      ui.paint(COLOURS[one.state], one.state),
      String(one.attempts),
      one.finishedAt === undefined ? '' : formatMs(one.durationMs),
      formatAgo(one.startedAt, now),
      outcomeOf(one).slice(0, MAX_REASON),
    ]),
  );
}

export function showInvocation(ui: Ui, one: Invocation, now: number): void {
  const { request, result, receipt } = one;
  const size = (body: typeof request) =>
    body === undefined ? '' : `${formatBytes(body.bytes)} of ${body.contentType}`;
  const rows: [string, string][] = [
    ['Invocation', one.id],
    ['Function', `${one.functionName} v${one.version}`],
    ['Trigger', one.origin === undefined ? one.trigger : `${one.trigger} (${one.origin})`],
    ['State', ui.paint(COLOURS[one.state], one.state)],
    ['Attempts', String(one.attempts)],
    ['Took', `${formatMs(one.durationMs)}${one.finishedAt === undefined ? ' so far' : ''}`],
    ['Start', receipt === null ? '' : `${receipt.start}, handler ${formatMs(receipt.phases.handler)}`],
    ['Used', receipt?.used === undefined ? '' : usedOf(receipt.used)],
    ['Request', size(request)],
    ['Result', size(result)],
    ['Outcome', outcomeOf(one)],
  ];
  ui.pairs(rows.filter(([, value]) => value !== ''));
  if (one.timeline === undefined) return;
  ui.out();
  for (const { at, event, attempt, reason, next } of one.timeline) {
    const parts = [
      formatClock(at),
      event.padEnd(14),
      attempt === undefined ? '' : `attempt ${attempt}`,
      reason === undefined ? '' : safeText(reason),
      next === undefined ? '' : next <= now ? 'and again' : `again in ${formatAge(now, next)}`,
    ];
    ui.out(parts.filter((part) => part !== '').join('  '));
  }
}

function usedOf({ cpuMs, memoryPeakBytes, diskDeltaBytes = 0 }: Used): string {
  const parts = [
    cpuMs === undefined ? '' : `${formatMs(cpuMs)} of CPU`,
    memoryPeakBytes === undefined ? '' : `at most ${formatBytes(memoryPeakBytes)} of memory`,
    diskDeltaBytes === 0 ? '' : `${diskDeltaBytes > 0 ? '+' : '-'}${formatBytes(Math.abs(diskDeltaBytes))} in /tmp`,
  ];
  return parts.filter((part) => part !== '').join(', ');
}

function outcomeOf({ outcome }: Invocation): string {
  if (outcome === null) return '';
  return outcome.kind === 'ok' ? 'ok' : safeText(`${outcome.kind}: ${outcome.message.split('\n', 1)[0] ?? ''}`);
}
