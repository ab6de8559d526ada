/** What a call cost, as the API's headers say it. */
import type { IncomingHttpHeaders } from 'node:http';
import { PHASES, type Phase, START_KINDS, type StartKind } from '../core/invocations/types.ts';
import { bar } from './bar.ts';
import { formatMs } from './format.ts';
import type { Ui } from './ui.ts';

export interface CallReceipt {
  start: StartKind | null;
  invocation: string | null;
  phases: Partial<Record<Phase, number>>;
}

const first = (value: string | string[] | undefined): string => [value ?? ''].flat()[0] ?? '';

/** `Server-Timing: queue;dur=0.1, handler;dur=2.5` and the `X-Wafer-*` headers. */
export function readReceipt(headers: IncomingHttpHeaders): CallReceipt {
  const phases: CallReceipt['phases'] = {};
  for (const metric of first(headers['server-timing']).split(',')) {
    const [name = '', ...params] = metric.split(';').map((part) => part.trim());
    const phase = PHASES.find((known) => known === name);
    const ms = Number(params.find((param) => param.startsWith('dur='))?.slice(4));
    if (phase !== undefined && Number.isFinite(ms)) phases[phase] = ms;
  }
  const start = first(headers['x-wafer-start']);
  return {
    start: START_KINDS.find((kind) => kind === start) ?? null,
    invocation: first(headers['x-wafer-invocation']) || null,
    phases,
  };
}

/** Status, start kind and one bar a phase, on stderr. */
export function showReceipt(ui: Ui, status: number, { start, invocation, phases }: CallReceipt): void {
  const spent = PHASES.map((phase) => [phase, phases[phase] ?? 0] as const);
  const total = spent.reduce((sum, [, ms]) => sum + ms, 0);
  const colour = start === 'cold' ? 'yellow' : 'green';
  ui.err(
    `${status}  ${ui.paintErr(colour, `${start ?? 'unknown'} start`)}  ${formatMs(total)}  ${ui.paintErr('dim', invocation ?? '')}`,
  );
  for (const [phase, ms] of spent) {
    if (phases[phase] === undefined) continue;
    const filled = ui.paintErr('cyan', bar(total === 0 ? 0 : ms / total));
    ui.err(`  ${phase.padEnd(8)} ${formatMs(ms).padStart(9)}  ${filled}`.trimEnd());
  }
}
