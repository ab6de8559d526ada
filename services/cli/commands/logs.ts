import type { LogLine } from '../../core/invocations/types.ts';
import { createClient } from '../client.ts';
import { command } from '../command.ts';
import { formatClock, safeText } from '../format.ts';
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

/** Aborted by the first Ctrl-C: the usual way to stop following, so it is not an error. */
function untilInterrupted(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => controller.abort());
  return controller.signal;
}

export default command({
  name: 'logs',
  about: 'Prints what a function wrote to stdout and stderr, oldest first. Ctrl-C stops following.',
  args: {
    name: { type: 'positional', description: 'Name of the function', required: true },
    follow: { type: 'boolean', alias: 'f', description: 'Go on with new lines as they come' },
    invocation: { type: 'string', valueHint: 'ID', description: 'Only the lines of one invocation' },
    since: { type: 'string', valueHint: 'SPAN', description: 'Only the last 30s, 10m, 2h, 1d' },
    limit: { type: 'string', alias: 'n', valueHint: 'LINES', description: 'At most so many of the newest lines' },
    json: { type: 'boolean', description: 'Print one JSON object a line, for programs' },
  },
  examples: [
    ['wafer logs hello', 'the newest lines'],
    ['wafer logs hello -f --since 10m', 'the last ten minutes, and what comes'],
    ['wafer logs hello --invocation ID', 'one call; "wafer invoke -i" prints its id'],
  ],
  run: async ({ name, follow, invocation, since, limit, json }, { ui, env }) => {
    const query = {
      invocation,
      follow: follow === true,
      since: since === undefined ? undefined : Date.now() - parseDuration('--since', since),
      limit: limit === undefined ? undefined : parseCount('--limit', limit),
      ...(follow ? { signal: untilInterrupted() } : {}),
    };
    let lines = 0;
    for await (const line of createClient(env).logs(name, query)) {
      lines++;
      if (json) ui.out(JSON.stringify(line));
      else showLine(ui, line);
    }
    if (lines === 0 && !json && !query.follow) ui.err(`${name} wrote nothing in that time.`);
  },
});
