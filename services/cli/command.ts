/** What a command is. Each lives in its own file in `commands/` and is loaded only when it is called. */
import { type ArgsDef, defineCommand, type ParsedArgs, runCommand } from 'citty';
import { WaferError } from '../core/errors.ts';
import { checkArguments } from './arguments.ts';
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
  examples: readonly (readonly [line: string, meaning: string])[];
  /** A number is the exit code; anything else means 0. */
  run(args: ParsedArgs<T>, context: CliContext & { rawArgs: readonly string[] }): Promise<unknown>;
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
  /** Of a group: the commands in it. It does nothing by itself. */
  readonly commands?: readonly CommandEntry[];
  /** @throws WaferError `usage` before anything is done */
  run(rawArgs: string[], context: CliContext): Promise<number>;
}

export function command<const T extends ArgsDef>(spec: CommandSpec<T>): Command {
  const parsed = defineCommand<T>({
    args: spec.args,
    run: ({ args, data }) => spec.run(args, data as CliContext & { rawArgs: string[] }),
  });
  return {
    name: spec.name,
    about: spec.about,
    args: spec.args,
    examples: spec.examples,
    run: async (rawArgs, context) => {
      checkArguments(spec.name, spec.args, rawArgs);
      const { result } = await runCommand(parsed, { rawArgs, data: { ...context, rawArgs } });
      return typeof result === 'number' ? result : 0;
    },
  };
}

/** `wafer image pull`: a word that stands before other commands. */
export function commandGroup(
  spec: Pick<Command, 'name' | 'about' | 'examples'> & { commands: readonly CommandEntry[] },
): Command {
  return {
    ...spec,
    args: {},
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
