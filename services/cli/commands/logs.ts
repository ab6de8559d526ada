import { WaferError } from '../../core/errors.ts';
import type { StoredLogLine } from '../../core/invocations/logs.ts';
import { LOG_LEVELS, type LogLevel } from '../../core/invocations/structured-line.ts';
import { command } from '../command.ts';
import { createLogView } from '../containers/show-log.ts';
import { createFinder, type Finder, whichFlags } from '../containers/which.ts';
import { formatClock, safeText } from '../format.ts';
import { untilInterrupted } from '../interrupt.ts';
import { parseCount, parseDuration } from '../numbers.ts';
import type { Ui } from '../ui.ts';

const STYLES = { stdout: null, stderr: 'yellow', platform: 'dim' } as const;

const LEVEL_STYLES = {
  trace: 'dim',
  debug: 'dim',
  info: 'green',
  warn: 'yellow',
  error: 'red',
  fatal: 'red',
} as const satisfies Record<LogLevel, string>;

function showLine(ui: Ui, line: StoredLogLine): void {
  const style = STYLES[line.stream];
  const origin = `${formatClock(line.time)}  v${line.version}  ${(line.invocationId ?? line.instanceId).padEnd(12)}`;
  if (line.message !== undefined) {
    ui.out(`${ui.paint('dim', origin)}  ${structuredText(ui, line)}`);
    return;
  }
  for (const text of safeText(line.text).trimEnd().split('\n')) {
    ui.out(`${ui.paint('dim', origin)}  ${style === null ? text : ui.paint(style, text)}`);
  }
}

/** A line that is JSON, for people: its level, its message, and what else it says as key=value. */
function structuredText(ui: Ui, { level, message = '', fields = {} }: StoredLogLine): string {
  const more = Object.entries(fields).map(([key, value]) => {
    const text = typeof value === 'string' && /^\S+$/.test(value) ? value : JSON.stringify(value);
    return safeText(`${key}=${text}`).replaceAll('\n', ' ');
  });
  const label = level === undefined ? [] : [ui.paint(LEVEL_STYLES[level], level.toUpperCase().padEnd(5))];
  const rest = more.length === 0 ? [] : [ui.paint('dim', more.join(' '))];
  return [...label, safeText(message).trimEnd().replaceAll('\n', ' '), ...rest].join(' ');
}

interface Wanted {
  follow: boolean;
  since: number | undefined;
  tail: number | undefined;
  signal?: AbortSignal;
}

/** What only lines of functions have. */
interface Matching {
  invocation: string | undefined;
  grep: string | undefined;
  level: string | undefined;
  stream: string | undefined;
}

const STREAMS = ['stdout', 'stderr', 'platform'];

/** @throws WaferError `usage` */
function oneOf(flag: string, text: string | undefined, known: readonly string[]): string | undefined {
  if (text === undefined || known.includes(text)) return text;
  throw new WaferError('usage', `${flag} ${text} is not one of ${known.join(', ')}.`);
}

/** @returns the number of lines */
async function functionLogs(
  finder: Finder,
  name: string,
  { tail, ...wanted }: Wanted & Matching,
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
    grep: { type: 'string', valueHint: 'TEXT', description: 'Of a function: only lines that contain the text' },
    level: {
      type: 'string',
      valueHint: 'LEVEL',
      description: `Of a function: only lines that are JSON and of this level or above: ${LOG_LEVELS.join(', ')}`,
    },
    stream: { type: 'string', valueHint: 'NAME', description: `Of a function: only ${STREAMS.join(', ')}` },
    ...whichFlags,
    json: { type: 'boolean', description: 'Print one JSON object a line, for programs' },
  },
  examples: [
    ['wafer logs hello', 'the newest lines'],
    ['wafer logs web -f --since 10m', 'the last ten minutes, and what comes'],
    ['wafer logs hello --grep timeout --since 1d', 'lines of the last day that contain the word'],
    ['wafer logs hello --invocation ID', 'one call; "wafer invoke -i" prints its id'],
  ],
  run: async (
    { name, follow, invocation, grep, level, stream, since, tail, timestamps, json, ...which },
    { ui, env },
  ) => {
    const matching: Matching = {
      invocation,
      grep,
      level: oneOf('--level', level, LOG_LEVELS),
      stream: oneOf('--stream', stream, STREAMS),
    };
    const wanted: Wanted = {
      follow: follow === true,
      since: since === undefined ? undefined : Date.now() - parseDuration('--since', since),
      tail: tail === undefined || tail === 'all' ? undefined : parseCount('--tail', tail),
    };
    const finder = createFinder(env);
    const found = await finder.find(name, which);
    if (follow) wanted.signal = untilInterrupted();
    if (found.kind === 'function') {
      const lines = await functionLogs(finder, name, { ...wanted, ...matching }, ui, json === true);
      if (lines === 0 && !json && !follow) ui.err(`${name} wrote nothing in that time.`);
      return;
    }
    const wrong = Object.entries(matching).find(([, value]) => value !== undefined);
    if (wrong !== undefined)
      throw new WaferError('usage', `${name} is a container: --${wrong[0]} is for the log of a function.`);
    const show = createLogView({ ui, timestamps: timestamps === true, json: json === true });
    for await (const line of finder.containers.logs(found.container.id, wanted)) await show(line);
  },
});
