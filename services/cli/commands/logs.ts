import { WaferError } from '../../core/errors.ts';
import type { LogLine } from '../../core/invocations/types.ts';
import { command } from '../command.ts';
import { createLogView } from '../containers/show-log.ts';
import { createFinder, type Finder, whichFlags } from '../containers/which.ts';
import { formatClock, safeText } from '../format.ts';
import { untilInterrupted } from '../interrupt.ts';
import { parseCount, parseDuration } from '../numbers.ts';
import type { Ui } from '../ui.ts';

const STYLES = { stdout: null, stderr: 'yellow', platform: 'dim' } as const;

function showLine(ui: Ui, line: LogLine): void {
  const style = STYLES[line.stream];
  const origin = `${formatClock(line.time)}  v${line.version}  ${(line.invocationId ?? line.instanceId).padEnd(12)}`;
  for (const text of safeText(line.text).trimEnd().split('\n')) {
    ui.out(`${ui.paint('dim', origin)}  ${style === null ? text : ui.paint(style, text)}`);
  }
}

interface Wanted {
  follow: boolean;
  since: number | undefined;
  tail: number | undefined;
  signal?: AbortSignal;
}

/** @returns the number of lines */
async function functionLogs(
  finder: Finder,
  name: string,
  { tail, ...wanted }: Wanted & { invocation: string | undefined },
  ui: Ui,
  json: boolean,
): Promise<number> {
  let lines = 0;
  for await (const line of finder.functions.logs(name, { ...wanted, limit: tail })) {
    lines++;
    if (json) ui.out(JSON.stringify(line));
    else showLine(ui, line);
  }
  return lines;
}

export default command({
  name: 'logs',
  about:
    'Prints what a function or a container wrote to stdout and stderr, oldest first. Ctrl-C stops following. Of a container, stderr goes to stderr.',
  args: {
    name: { type: 'positional', description: 'Name of a function or a container', required: true },
    follow: { type: 'boolean', alias: 'f', description: 'Go on with new lines as they come' },
    since: { type: 'string', valueHint: 'SPAN', description: 'Only the last 30s, 10m, 2h, 1d' },
    tail: {
      type: 'string',
      alias: ['n', 'limit'],
      valueHint: 'LINES',
      description: 'At most so many of the newest lines',
    },
    timestamps: { type: 'boolean', alias: 't', description: 'Of a container: with the time of each line' },
    invocation: { type: 'string', valueHint: 'ID', description: 'Of a function: only the lines of one invocation' },
    ...whichFlags,
    json: { type: 'boolean', description: 'Print one JSON object a line, for programs' },
  },
  examples: [
    ['wafer logs hello', 'the newest lines'],
    ['wafer logs web -f --since 10m', 'the last ten minutes, and what comes'],
    ['wafer logs hello --invocation ID', 'one call; "wafer invoke -i" prints its id'],
  ],
  run: async ({ name, follow, invocation, since, tail, timestamps, json, ...which }, { ui, env }) => {
    const wanted: Wanted = {
      follow: follow === true,
      since: since === undefined ? undefined : Date.now() - parseDuration('--since', since),
      tail: tail === undefined || tail === 'all' ? undefined : parseCount('--tail', tail),
    };
    const finder = createFinder(env);
    const found = await finder.find(name, which);
    if (follow) wanted.signal = untilInterrupted();
    if (found.kind === 'function') {
      const lines = await functionLogs(finder, name, { ...wanted, invocation }, ui, json === true);
      if (lines === 0 && !json && !follow) ui.err(`${name} wrote nothing in that time.`);
      return;
    }
    if (invocation !== undefined) throw new WaferError('usage', `${name} is a container; it has no invocations.`);
    const show = createLogView({ ui, timestamps: timestamps === true, json: json === true });
    for await (const line of finder.containers.logs(found.container.id, wanted)) await show(line);
  },
});
