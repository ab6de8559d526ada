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

/** Help is asked for only before `--`: what follows belongs to the function. */
function asksForHelp(args: readonly string[]): boolean {
  const end = args.indexOf('--');
  return (end === -1 ? args : args.slice(0, end)).some((token) => token === '--help' || token === '-h');
}

async function loadCommand(name: string, commands: readonly CommandEntry[], before: string): Promise<Command> {
  const entry = commands.find((known) => known.name === name);
  if (entry === undefined) throw unknownCommand(name, commands, before);
  return (await entry.load()).default;
}

/** The command that the words name, and what is left of the words. */
async function findCommand(words: readonly string[]): Promise<{ command: Command; rest: string[] }> {
  const [first = '', ...others] = words;
  let command = await loadCommand(first, COMMANDS, 'wafer');
  let rest = others;
  while (command.commands !== undefined && rest[0] !== undefined && !rest[0].startsWith('-')) {
    command = await loadCommand(rest[0], command.commands, `wafer ${command.name}`);
    rest = rest.slice(1);
  }
  return { command, rest };
}

async function dispatch(argv: readonly string[], context: CliContext): Promise<number> {
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
  if (isHelp || asksForHelp(args) || (command.commands !== undefined && args.length === 0)) {
    showCommandHelp(context.ui, command);
    return 0;
  }
  return command.run(args, context);
}

/** Never throws. @returns the exit code */
export async function runCli(argv: readonly string[], context: CliContext): Promise<number> {
  try {
    return await dispatch(argv, context);
  } catch (error) {
    return reportError(error, context.ui, argv.includes('--json'));
  }
}
