/** What `wafer explain` draws: a block of bars for each kind of start, why there were starts, and advice. */
import type { Explanation, KindTimes } from '../core/invocations/explain.ts';
import type { NoBlank, StartCause, StartKind } from '../core/invocations/types.ts';
import { PHASES, START_KINDS } from '../core/invocations/types.ts';
import { bar } from './bar.ts';
import { count, formatMs } from './format.ts';
import type { Ui } from './ui.ts';

const CAUSES: Record<StartCause, string> = {
  first: 'first call of the version',
  idle: 'ended without calls for a while',
  evicted: 'its memory was needed',
  ended: 'failed or was replaced',
  busy: 'all instances were busy',
};

const REASONS: Record<NoBlank, string> = {
  own_root: 'its image is its whole root',
  own_program: 'it starts a program of its own',
  other_base: 'its base image has changed',
  off: 'WAFER_BLANKS=0',
  unused: 'no live version uses its base image',
  none_ready: 'none was ready',
};

const COLOURS: Record<StartKind, 'yellow' | 'cyan' | 'green'> = { cold: 'yellow', blank: 'cyan', warm: 'green' };

export function showExplanation(ui: Ui, explanation: Explanation): void {
  const { functionName, version, runtime, base, kinds, advice } = explanation;
  const where = base === '' ? `${runtime} in an image of its own` : `${runtime} on ${base}`;
  ui.out(`${ui.paint('bold', functionName)}  v${version} · ${where}`);
  const shown = START_KINDS.flatMap((kind) => {
    const times = kinds[kind];
    return times === undefined ? [] : [{ kind, times }];
  });
  if (shown.length === 0) {
    ui.out(`No call of v${version} is known yet. Call it, then ask again: wafer invoke ${functionName}`);
    return;
  }
  // One scale for all blocks, so that they can be compared.
  const scale = Math.max(...shown.map(({ times }) => times.wall.p50));
  for (const { kind, times } of shown) showKind(ui, kind, times, scale);
  showStarts(ui, explanation);
  showAdvice(ui, advice, shown);
}

function showKind(ui: Ui, kind: StartKind, { calls, wall, phases }: KindTimes, scale: number): void {
  ui.out();
  const title = ui.paint(COLOURS[kind], kind.padEnd(9));
  ui.out(`${title} ${cell('p50')} ${cell('p99')}  ${ui.paint('dim', count(calls, 'call'))}`);
  for (const phase of PHASES) {
    const { p50, p99 } = phases[phase];
    if (p99 === 0) continue;
    const drawn = ui.paint(COLOURS[kind], bar(scale === 0 ? 0 : p50 / scale));
    ui.out(`  ${phase.padEnd(8)}${cell(formatMs(p50))} ${cell(formatMs(p99))}  ${drawn}`.trimEnd());
  }
  ui.out(`  ${'all'.padEnd(8)}${cell(formatMs(wall.p50))} ${cell(formatMs(wall.p99))}`);
}

const cell = (text: string) => text.padStart(10);

function showStarts(ui: Ui, { causes, noBlank }: Explanation): void {
  const list = <Key extends string>(counts: Partial<Record<Key, number>>, names: Record<Key, string>) =>
    (Object.entries(counts) as [Key, number][]).map(([key, number]) => `${number} ${names[key]}`).join(', ');
  const rows: [string, string][] = [
    ['Starts', list(causes, CAUSES)],
    ['No blank', list(noBlank, REASONS)],
  ];
  const known = rows.filter(([, text]) => text !== '');
  if (known.length === 0) return;
  ui.out();
  ui.pairs(known);
}

function showAdvice(ui: Ui, advice: Explanation['advice'], shown: { kind: StartKind }[]): void {
  ui.out();
  if (advice.length === 0) {
    const onlyWarm = shown.every(({ kind }) => kind === 'warm');
    const nothing = 'Nothing stands out: there is little to gain.';
    ui.out(onlyWarm ? 'Each of these calls found an instance that was there.' : nothing);
    return;
  }
  ui.out(ui.paint('bold', 'What would help'));
  for (const { seen, help } of advice) {
    for (const [at, line] of wrap(seen).entries()) ui.out(`${at === 0 ? '• ' : '  '}${line}`);
    for (const line of wrap(help)) ui.out(`  ${ui.paint('green', line)}`);
  }
}

const LINE = 96;

/** At spaces; a word that is longer than a line has one of its own. */
function wrap(text: string): string[] {
  const lines = [''];
  for (const word of text.split(' ')) {
    const last = lines.at(-1) ?? '';
    if (last !== '' && last.length + 1 + word.length > LINE) lines.push(word);
    else lines[lines.length - 1] = last === '' ? word : `${last} ${word}`;
  }
  return lines;
}
