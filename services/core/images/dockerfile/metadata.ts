/** Instructions that change only the config: the config before and the instruction give the config after. */
import type { ImageConfig } from '../types.ts';
import { expandIn, pairsIn } from './scope.ts';
import { oneFlag } from './stages.ts';
import { type Instruction, type Keyword, refuse } from './types.ts';
import type { Scope } from './words.ts';

export type RunConfig = ImageConfig['config'];

export interface MetadataState {
  config: RunConfig;
  author: string | undefined;
  /** CMD was set in this stage: a later ENTRYPOINT keeps it. */
  hasOwnCmd: boolean;
}

interface Context {
  instruction: Instruction;
  scope: Scope;
  mark: string;
}

type Apply = (state: MetadataState, context: Context) => MetadataState;

export const DEFAULT_SHELL = ['/bin/sh', '-c'];
export const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

const withConfig = (state: MetadataState, change: RunConfig): MetadataState => ({
  ...state,
  config: { ...state.config, ...change },
});
const value = ({ instruction, scope, mark }: Context) => expandIn(instruction, instruction.args, scope, mark);
const words = ({ instruction, scope, mark }: Context) =>
  (instruction.json ?? instruction.args.split(/\s+/)).map((word) => expandIn(instruction, word, scope, mark));

/** A command as argv: JSON as it is, text for the shell. */
export function commandOf(instruction: Pick<Instruction, 'json' | 'args'>, config: RunConfig): string[] {
  return instruction.json ?? [...(config.Shell ?? DEFAULT_SHELL), instruction.args];
}

export function setEnv(env: readonly string[] | undefined, pairs: readonly [string, string][]): string[] {
  const result = [...(env ?? [])];
  for (const [name, text] of pairs) {
    const at = result.findIndex((pair) => pair.startsWith(`${name}=`));
    if (at === -1) result.push(`${name}=${text}`);
    else result[at] = `${name}=${text}`;
  }
  return result;
}

/** Absolute, without `.` and `..`. */
export function joinPath(below: string, path: string): string {
  const parts: string[] = [];
  for (const part of (path.startsWith('/') ? path : `${below}/${path}`).split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return `/${parts.join('/')}`;
}

const PORT = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp|sctp))?$/i;

function ports(context: Context): Record<string, object> {
  const found: [string, object][] = [];
  const given = context.instruction.json ?? value(context).split(/\s+/);
  for (const word of given.filter((one) => one !== '')) {
    const [, first, last, protocol = 'tcp'] = PORT.exec(word) ?? [];
    const low = Number(first);
    const high = Number(last ?? first);
    if (first === undefined || low < 1 || high > 65_535 || high < low)
      throw refuse(context.instruction, `${JSON.stringify(word.slice(0, 64))} is not a port.`);
    for (let port = low; port <= high; port += 1) found.push([`${port}/${protocol.toLowerCase()}`, {}]);
  }
  return Object.fromEntries(found);
}

function stopSignal(context: Context): string {
  const signal = value(context);
  if (/^(SIG[A-Z0-9+-]{2,16}|[A-Z][A-Z0-9+-]{1,15}|[1-9]|[1-5]\d|6[0-4])$/.test(signal)) return signal;
  throw refuse(context.instruction, `${JSON.stringify(signal.slice(0, 64))} is not a signal.`);
}

const SECONDS: Record<string, number> = { ns: 1e-9, us: 1e-6, µs: 1e-6, ms: 1e-3, s: 1, m: 60, h: 3600 };

function nanoseconds(instruction: Instruction, flag: string): number | undefined {
  const text = oneFlag(instruction, flag);
  if (text === undefined) return undefined;
  if (!/^(0|(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+)$/.test(text))
    throw refuse(instruction, `--${flag}=${text.slice(0, 32)} is not a time like 30s or 1m30s.`);
  let total = 0;
  for (const [, number, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g))
    total += Number(number) * (SECONDS[unit ?? ''] ?? 0);
  return Math.round(total * 1e9);
}

function healthcheck(state: MetadataState, { instruction }: Context): MetadataState {
  const [, kind = '', rest = ''] = /^(\S+)\s*([\s\S]*)$/.exec(instruction.args) ?? [];
  if (kind.toUpperCase() === 'NONE') {
    if (rest !== '' || instruction.flags.length > 0) throw refuse(instruction, 'NONE takes nothing else.');
    return withConfig(state, { Healthcheck: { Test: ['NONE'] } });
  }
  if (kind.toUpperCase() !== 'CMD' || rest === '') throw refuse(instruction, 'write HEALTHCHECK CMD ..., or NONE.');
  const argv = /^\[/.test(rest) ? jsonStrings(rest) : null;
  const retries = oneFlag(instruction, 'retries');
  if (retries !== undefined && !/^\d{1,6}$/.test(retries))
    throw refuse(instruction, `--retries=${retries.slice(0, 32)} is not a number.`);
  const times = {
    Interval: nanoseconds(instruction, 'interval'),
    Timeout: nanoseconds(instruction, 'timeout'),
    StartPeriod: nanoseconds(instruction, 'start-period'),
    StartInterval: nanoseconds(instruction, 'start-interval'),
    Retries: retries === undefined ? undefined : Number(retries),
  };
  const given = Object.fromEntries(Object.entries(times).filter(([, time]) => time !== undefined));
  return withConfig(state, {
    Healthcheck: { Test: argv === null ? ['CMD-SHELL', rest] : ['CMD', ...argv], ...given },
  });
}

function jsonStrings(text: string): string[] | null {
  try {
    const parsed: unknown = JSON.parse(text);
    return Array.isArray(parsed) && parsed.every((one) => typeof one === 'string') ? parsed : null;
  } catch {
    return null;
  }
}

const APPLY: Partial<Record<Keyword, Apply>> = {
  ENV: (state, { instruction, scope, mark }) =>
    withConfig(state, { Env: setEnv(state.config.Env, pairsIn(instruction, scope, mark)) }),
  LABEL: (state, { instruction, scope, mark }) =>
    withConfig(state, {
      Labels: { ...state.config.Labels, ...Object.fromEntries(pairsIn(instruction, scope, mark)) },
    }),
  MAINTAINER: (state, { instruction }) => ({ ...state, author: instruction.args }),
  CMD: (state, { instruction }) => ({
    ...withConfig(state, { Cmd: commandOf(instruction, state.config) }),
    hasOwnCmd: true,
  }),
  ENTRYPOINT(state, { instruction }) {
    const { Cmd, ...others } = state.config;
    const kept = state.hasOwnCmd && Cmd !== undefined ? { Cmd } : {};
    return { ...state, config: { ...others, ...kept, Entrypoint: commandOf(instruction, state.config) } };
  },
  SHELL(state, { instruction }) {
    if (instruction.json === null || instruction.json.length === 0)
      throw refuse(instruction, 'it takes a JSON array, like ["/bin/bash", "-c"].');
    return withConfig(state, { Shell: instruction.json });
  },
  EXPOSE: (state, context) => withConfig(state, { ExposedPorts: { ...state.config.ExposedPorts, ...ports(context) } }),
  VOLUME(state, context) {
    const paths = words(context).map((word) => [word, {}] as const);
    if (paths.some(([path]) => path.trim() === '')) throw refuse(context.instruction, 'a path is empty.');
    return withConfig(state, { Volumes: { ...state.config.Volumes, ...Object.fromEntries(paths) } });
  },
  STOPSIGNAL: (state, context) => withConfig(state, { StopSignal: stopSignal(context) }),
  USER(state, context) {
    const user = value(context);
    if (user === '' || /[\s\0]/.test(user)) throw refuse(context.instruction, 'it takes one user, or user:group.');
    return withConfig(state, { User: user });
  },
  WORKDIR: (state, context) =>
    withConfig(state, { WorkingDir: joinPath(state.config.WorkingDir ?? '/', value(context)) }),
  ONBUILD: (state, { instruction }) =>
    withConfig(state, { OnBuild: [...(state.config.OnBuild ?? []), triggerText(instruction)] }),
  HEALTHCHECK: healthcheck,
};

/** The whole trigger: its heredocs below it. */
function triggerText({ args, heredocs }: Instruction): string {
  return [args, ...heredocs.map(({ content, name }) => `${content}${name}`)].join('\n');
}

/** @throws WaferError `invalid_dockerfile` */
export function applyMetadata(state: MetadataState, context: Context): MetadataState {
  const apply = APPLY[context.instruction.keyword];
  if (apply === undefined) throw refuse(context.instruction, 'it can not stand here.');
  return apply(state, context);
}
