/** Finds the command, loads it, runs it, and turns what it threw into a line and an exit code. */
import { WaferError } from '../core/errors.ts';
import { packageVersion } from '../core/package-root.ts';
import type { CliContext, Command, CommandEntry } from './command.ts';
import { showCommandHelp, showFirstScreen } from './help.ts';
import { COMMANDS } from './registry.ts';
import { reportError } from './report-error.ts';
import { suggest } from './suggest.ts';

/** `before` is `wafer`, or `wafer image`. */
function unknownCommand(word: string, commands: readonly CommandEntry[], before: string): WaferError {
  const synonym = commands.find((entry) => entry.synonyms?.includes(word))?.name;
  const similar =
    synonym ??
    suggest(
      word,
      commands.map((entry) => entry.name),
    );
  return new WaferError('usage', `${before} has no command "${word}".`, {
    hint: similar ? `Did you mean "${before} ${similar}"?` : `"${before}" lists the commands.`,
  });
}

/** Help is asked for only before `--`: what follows is not the command's. */
function asksForHelp(args: readonly string[]): boolean {
  const end = args.indexOf('--');
  return (end === -1 ? args : args.slice(0, end)).some((token) => token === '--help' || token === '-h');
}

async function loadCommand(name: string, commands: readonly CommandEntry[], before: string): Promise<Command> {
  const entry = commands.find((known) => known.name === name);
  if (entry === undefined) throw unknownCommand(name, commands, before);
  return (await entry.load()).default;
}

/** `compose -f FILE up` is `compose up --file=FILE`. */
function takeLeading(words: readonly string[], leading: Readonly<Record<string, string>>) {
  const taken: string[] = [];
  let at = 0;
  for (; at < words.length; at++) {
    const [flag = '', inline] = (words[at] ?? '').split(/=(.*)/s);
    const name = leading[flag];
    const value = inline ?? words[at + 1];
    if (name === undefined || value === undefined) break;
    taken.push(`${name}=${value}`);
    if (inline === undefined) at++;
  }
  return { taken, left: words.slice(at) };
}

/** The command that the words name, and what is left of the words. */
async function findCommand(words: readonly string[]): Promise<{ command: Command; rest: string[] }> {
  const [first = '', ...others] = words;
  let command = await loadCommand(first, COMMANDS, 'wafer');
  let rest = others;
  while (command.commands !== undefined) {
    const { taken, left } = takeLeading(rest, command.leading ?? {});
    const [word] = left;
    if (word === undefined || word.startsWith('-')) break;
    command = await loadCommand(word, command.commands, `wafer ${command.name}`);
    rest = [...taken, ...left.slice(1)];
  }
  return { command, rest };
}

/** What the words asked for: either it is done (an exit code), or it is a command to run. */
async function prepare(
  argv: readonly string[],
  context: CliContext,
): Promise<number | { command: Command; args: string[] }> {
  const [first, ...rest] = argv;
  if (first === '--version' || first === '-v' || first === '-V') {
    context.ui.out(packageVersion());
    return 0;
  }
  const isHelp = first === 'help' || first === '--help' || first === '-h';
  const words = isHelp ? rest.filter((token) => !token.startsWith('-')) : argv;
  const topic = words[0];
  if (topic === undefined) {
    showFirstScreen(context.ui, packageVersion());
    return 0;
  }
  if (topic.startsWith('-')) {
    throw new WaferError('usage', `wafer has no flag ${topic}.`, {
      hint: 'Flags come after the command: wafer list --json',
    });
  }
  const { command, rest: args } = await findCommand(words);
  if (isHelp || asksForHelp(command.own(args)) || (command.commands !== undefined && args.length === 0)) {
    showCommandHelp(context.ui, command);
    return 0;
  }
  return { command, args };
}

/** Never throws. @returns the exit code */
export async function runCli(argv: readonly string[], context: CliContext): Promise<number> {
  let own: readonly string[] = argv;
  let errorExit: Command['errorExit'];
  try {
    const found = await prepare(argv, context);
    if (typeof found === 'number') return found;
    own = found.command.own(found.args);
    errorExit = found.command.errorExit;
    return await found.command.run(found.args, context);
  } catch (error) {
    const code = reportError(error, context.ui, own.includes('--json'));
    return errorExit?.(error) ?? code;
  }
}
