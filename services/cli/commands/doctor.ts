import { join } from 'node:path';
import { SETTINGS } from '../../core/config.ts';
import { packageRoot } from '../../core/package-root.ts';
import { type CliContext, command, jsonFlag } from '../command.ts';
import { type ProbeResult, runProbes } from '../doctor/index.ts';
import { chooseSubject } from '../doctor/subject.ts';
import { count } from '../format.ts';
import type { Ui } from '../ui.ts';

const MARKS = { ok: ['green', '✓'], warn: ['yellow', '!'], fail: ['red', '✗'] } as const;
const EXIT_HOST = 4;

function show(ui: Ui, results: readonly ProbeResult[]): void {
  const size = Math.max(...results.map(({ title }) => title.length));
  const indent = ' '.repeat(size + 5);
  for (const { status, title, found, meaning, cost, fix } of results) {
    const [style, mark] = MARKS[status];
    ui.out(`${ui.paint(style, mark)} ${ui.paint('bold', title.padEnd(size))}   ${found}`);
    ui.out(`${indent}${ui.paint('dim', meaning)}`);
    if (cost !== undefined) ui.out(`${indent}${ui.paint(style, 'cost:')} ${cost}`);
    if (fix !== undefined) ui.out(`${indent}${ui.paint('cyan', 'fix:')}  ${fix}`);
  }
}

function sum(ui: Ui, results: readonly ProbeResult[]): void {
  const failed = results.filter(({ status }) => status === 'fail').length;
  const warned = results.filter(({ status }) => status === 'warn').length;
  ui.out();
  if (failed > 0) ui.out(ui.paint('red', `Wafer can not run here yet: ${count(failed, 'thing')} must be fixed.`));
  else if (warned > 0) ui.out(`Wafer runs here, with ${count(warned, 'thing')} that could be better.`);
  else ui.out(ui.paint('green', 'Wafer runs here with everything on.'));
}

/** A platform that was started as root keeps its data in the home of its own user. */
function dataDir(env: CliContext['env'], home: string): string {
  return env['WAFER_DATA'] ? SETTINGS.dataDir.read(env['WAFER_DATA'], env) : join(home, '.local/share/wafer');
}

export default command({
  name: 'doctor',
  about:
    'Tries what Wafer needs on this machine, without root and without a running platform. Each line says what was found,\nwhat it costs when it is off, and the command that fixes it. Exit code 4 when Wafer can not run here.',
  args: { ...jsonFlag },
  examples: [
    ['wafer doctor', 'everything, for the user that runs the platform'],
    ['wafer doctor --json | jq \'.probes[] | select(.status != "ok")\'', 'only what is off'],
  ],
  run: async ({ json }, { ui, env }) => {
    const subject = chooseSubject();
    const context = { subject, dataDir: dataDir(env, subject.home), env, root: packageRoot() };
    const task = ui.task('Trying what this machine allows');
    const results = await runProbes(context).finally(() => task.clear());
    const ok = results.every(({ status }) => status !== 'fail');
    if (json) ui.json({ ok, user: subject.name, dataDir: context.dataDir, probes: results });
    else {
      show(ui, results);
      sum(ui, results);
    }
    return ok ? 0 : EXIT_HOST;
  },
});
