/** What a command is. Each lives in its own file in `commands/` and is loaded only when it is called. */
import { type ArgsDef, defineCommand, type ParsedArgs, runCommand } from 'citty';
import { WaferError } from '../core/errors.ts';
import { checkArguments, splitArguments } from './arguments.ts';
import type { Ui } from './ui.ts';

/** What every command gets: the terminal, the environment, where it was called. */
export interface CliContext {
  ui: Ui;
  env: Record<string, string | undefined>;
  cwd: string;
}

interface CommandSpec<T extends ArgsDef> {
  name: string;
  /** One or more sentences below the usage line. */
  about: string;
  args: T;
  /** The last positional may be given more than once. */
  many?: boolean;
  /** What follows so many positionals belongs to a program, flags included; `label` names it in the help. */
  rest?: { after: number; label: string; about: string };
  examples: readonly (readonly [line: string, meaning: string])[];
  /** Of an error that is Wafer's, where the exit code is otherwise that of a program inside. */
  errorExit?: (error: unknown) => number;
  /** A number is the exit code; anything else means 0. */
  run(args: ParsedArgs<T>, context: RunContext): Promise<unknown>;
}

export interface RunContext extends CliContext {
  /** Of the command itself, letters written out. */
  rawArgs: readonly string[];
  positionals: readonly string[];
  /** Of the program that is to run. */
  rest: readonly string[];
}

/** A command as it is listed; loaded when it is called. */
export interface CommandEntry {
  name: string;
  summary: string;
  /** Words people try first in other tools; used for suggestions only. */
  synonyms?: readonly string[];
  load(): Promise<{ default: Command }>;
}

export interface Command {
  readonly name: string;
  readonly about: string;
  readonly args: ArgsDef;
  readonly examples: CommandSpec<ArgsDef>['examples'];
  readonly many?: boolean;
  readonly rest?: NonNullable<CommandSpec<ArgsDef>['rest']>;
  readonly errorExit?: (error: unknown) => number;
  /** Of a group: the commands in it. It does nothing by itself. */
  readonly commands?: readonly CommandEntry[];
  /** Of a group: flags with a value that may stand before its command, and what they are called there. */
  readonly leading?: Readonly<Record<string, string>>;
  /** The words that are the command's own, as opposed to those of a program that it runs. */
  own(rawArgs: readonly string[]): string[];
  /** @throws WaferError `usage` before anything is done */
  run(rawArgs: string[], context: CliContext): Promise<number>;
}

export function command<const T extends ArgsDef>(spec: CommandSpec<T>): Command {
  const parsed = defineCommand<T>({ args: spec.args, run: ({ args, data }) => spec.run(args, data as RunContext) });
  const split = (rawArgs: readonly string[]) => splitArguments(spec.args, rawArgs, spec.rest?.after);
  return {
    name: spec.name,
    about: spec.about,
    args: spec.args,
    examples: spec.examples,
    ...(spec.many ? { many: true } : {}),
    ...(spec.rest ? { rest: spec.rest } : {}),
    ...(spec.errorExit ? { errorExit: spec.errorExit } : {}),
    own: (rawArgs) => split(rawArgs).own,
    run: async (rawArgs, context) => {
      const { own, rest } = split(rawArgs);
      const positionals = checkArguments(spec.name, spec.args, own, spec.many);
      const { result } = await runCommand(parsed, {
        rawArgs: own,
        data: { ...context, rawArgs: own, positionals, rest },
      });
      return typeof result === 'number' ? result : 0;
    },
  };
}

/** `wafer image pull`: a word that stands before other commands. */
export function commandGroup(
  spec: Pick<Command, 'name' | 'about' | 'examples' | 'leading'> & { commands: readonly CommandEntry[] },
): Command {
  return {
    ...spec,
    args: {},
    own: (rawArgs) => [...rawArgs],
    run: async () => {
      throw new WaferError('usage', `"wafer ${spec.name}" needs one of its commands.`, {
        hint: `They are ${spec.commands.map(({ name }) => name).join(', ')}.`,
      });
    },
  };
}

export const jsonFlag = {
  json: { type: 'boolean', description: 'Print JSON for programs' },
} as const satisfies ArgsDef;

export const nameArgument = {
  name: { type: 'positional', description: 'Name of the function', required: true },
} as const satisfies ArgsDef;
