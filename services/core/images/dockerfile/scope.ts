/** Variables of a build: build arguments, ARG of the file and of the stage, ENV. ENV wins over ARG. */
import { arch } from 'node:process';
import { type Instruction, refuse } from './types.ts';
import { expandWord, type Scope, splitPairs, splitWords, WordError } from './words.ts';

const ARCHITECTURES: Record<string, string> = { x64: 'amd64', ia32: '386' };
export const HOST_ARCH = ARCHITECTURES[arch] ?? arch;
export const HOST_PLATFORM = `linux/${HOST_ARCH}`;

/** Values that are there for `ARG NAME` without anybody giving them; in FROM without ARG too. */
export const PLATFORM_ARGS: Readonly<Record<string, string>> = Object.fromEntries(
  ['TARGET', 'BUILD'].flatMap((which) => [
    [`${which}PLATFORM`, HOST_PLATFORM],
    [`${which}OS`, 'linux'],
    [`${which}ARCH`, HOST_ARCH],
    [`${which}VARIANT`, ''],
  ]),
);

/** Given as build arguments they reach RUN without ARG, and are in no key and no history. */
const PROXY_ARGS = ['http_proxy', 'https_proxy', 'ftp_proxy', 'no_proxy', 'all_proxy'];
export const isProxyArg = (name: string): boolean => PROXY_ARGS.includes(name.toLowerCase());

const ARG_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

export interface StageScope {
  /** ARG of the stage that has a value, in the order of the file. */
  readonly args: ReadonlyMap<string, string>;
  get: Scope;
  declare(instruction: Instruction): void;
}

export interface BuildScope {
  /** For FROM lines. */
  global: Scope;
  stage(env: () => readonly string[]): StageScope;
  /** Build arguments that no ARG asked for. */
  unused(): string[];
}

export function createScope(
  globalArgs: readonly Instruction[],
  given: Record<string, string>,
  mark: string,
): BuildScope {
  const used = new Set<string>();
  const fromFile = new Map<string, string>();
  const outside = (name: string): string | undefined => {
    if (!Object.hasOwn(given, name)) return PLATFORM_ARGS[name];
    used.add(name);
    return given[name];
  };
  const global: Scope = (name) => fromFile.get(name) ?? PLATFORM_ARGS[name];
  for (const instruction of globalArgs) {
    for (const { name, value } of declarations(instruction, global, mark)) {
      const chosen = outside(name) ?? value;
      if (chosen !== undefined) fromFile.set(name, chosen);
    }
  }
  return {
    global,
    unused: () =>
      Object.keys(given).filter((name) => !used.has(name) && !isProxyArg(name) && name !== 'SOURCE_DATE_EPOCH'),
    stage(env) {
      const args = new Map<string, string>();
      const get: Scope = (name) => envValue(env(), name) ?? args.get(name);
      return {
        args,
        get,
        declare(instruction) {
          for (const { name, value } of declarations(instruction, get, mark)) {
            const chosen = outside(name) ?? value ?? fromFile.get(name);
            if (chosen !== undefined) args.set(name, chosen);
          }
        },
      };
    },
  };
}

function* declarations(instruction: Instruction, scope: Scope, mark: string) {
  const words = wrapped(instruction, () => splitWords(instruction.args, mark));
  for (const { word } of words) {
    const equals = word.indexOf('=');
    const name = equals === -1 ? word : word.slice(0, equals);
    if (!ARG_NAME.test(name)) throw refuse(instruction, `${JSON.stringify(name.slice(0, 64))} is not a name.`);
    const value = equals === -1 ? undefined : expandIn(instruction, word.slice(equals + 1), scope, mark);
    yield { name, value };
  }
}

function envValue(env: readonly string[], name: string): string | undefined {
  return env.findLast((pair) => pair.startsWith(`${name}=`))?.slice(name.length + 1);
}

function wrapped<T>(instruction: Instruction, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof WordError) throw refuse(instruction, `${error.message}.`);
    throw error;
  }
}

/** @throws WaferError `invalid_dockerfile` at the instruction */
export const expandIn = (
  instruction: Instruction,
  text: string,
  scope: Scope,
  mark: string,
  options: { quotes?: boolean } = {},
): string => wrapped(instruction, () => expandWord(text, scope, mark, options));

/** `NAME=value` pairs, both sides expanded. */
export function pairsIn(instruction: Instruction, scope: Scope, mark: string): [string, string][] {
  return wrapped(instruction, () => splitPairs(instruction.args, mark)).map(([name, value]) => [
    expandIn(instruction, name, scope, mark),
    expandIn(instruction, value, scope, mark),
  ]);
}
