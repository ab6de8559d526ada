/** Finds the command, loads it, runs it, and turns what it threw into a line and an exit code. */
import { WaferError } from '../core/errors.ts';
import { packageVersion } from './assets.ts';
import type { CliContext } from './command.ts';
import { showCommandHelp, showFirstScreen } from './help.ts';
import { COMMANDS } from './registry.ts';
import { reportError } from './report-error.ts';
import { suggest } from './suggest.ts';

function unknownCommand(word: string): WaferError {
  const synonym = COMMANDS.find((entry) => entry.synonyms?.includes(word))?.name;
  const similar =
    synonym ??
    suggest(
      word,
      COMMANDS.map((entry) => entry.name),
    );
  return new WaferError('usage', `wafer has no command "${word}".`, {
    hint: similar ? `Did you mean "wafer ${similar}"?` : '"wafer" lists the commands.',
  });
}

/** Help is asked for only before `--`: what follows belongs to the function. */
function asksForHelp(args: readonly string[]): boolean {
  const end = args.indexOf('--');
  return (end === -1 ? args : args.slice(0, end)).some((token) => token === '--help' || token === '-h');
}

async function loadCommand(name: string) {
  const entry = COMMANDS.find((known) => known.name === name);
  if (entry === undefined) throw unknownCommand(name);
  return (await entry.load()).default;
}

async function dispatch(argv: readonly string[], context: CliContext): Promise<number> {
  const [first, ...rest] = argv;
  if (first === '--version' || first === '-v' || first === '-V') {
    context.ui.out(packageVersion());
    return 0;
  }
  const isHelp = first === 'help' || first === '--help' || first === '-h';
  const topic = isHelp ? rest.find((token) => !token.startsWith('-')) : first;
  if (topic === undefined) {
    showFirstScreen(context.ui, packageVersion());
    return 0;
  }
  if (topic.startsWith('-')) {
    throw new WaferError('usage', `wafer has no flag ${topic}.`, {
      hint: 'Flags come after the command: wafer list --json',
    });
  }
  const command = await loadCommand(topic);
  if (isHelp || asksForHelp(rest)) {
    showCommandHelp(context.ui, command);
    return 0;
  }
  return command.run([...rest], context);
}

/** Never throws. @returns the exit code */
export async function runCli(argv: readonly string[], context: CliContext): Promise<number> {
  try {
    return await dispatch(argv, context);
  } catch (error) {
    return reportError(error, context.ui, argv.includes('--json'));
  }
}
