/** The flags of `run` and `create`, and what they mean for the API. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { ArgsDef, ParsedArgs } from 'citty';
import type { ContainerNetwork, HealthCheck } from '../../core/containers/types.ts';
import { WaferError } from '../../core/errors.ts';
import type { RunContext } from '../command.ts';
import type { ContainerRequest } from '../container-client.ts';
import { repeated } from '../repeated.ts';
import {
  readCpuMillis,
  readEnvLines,
  readFlag,
  readMemoryMb,
  readMount,
  readPair,
  readPorts,
  readRestart,
  readSeconds,
  readSignal,
  readWhole,
} from './parse.ts';

export const containerFlags = {
  image: { type: 'positional', description: 'Image to run: a name or the beginning of its digest', required: true },
  name: { type: 'string', description: 'Name of the container; without it one is made up' },
  interactive: { type: 'boolean', alias: 'i', description: 'Keep stdin open' },
  tty: { type: 'boolean', alias: 't', description: 'Give it a terminal' },
  rm: { type: 'boolean', description: 'Remove it when it ends' },
  env: {
    type: 'string',
    alias: 'e',
    valueHint: 'NAME=VALUE',
    description: 'Environment; NAME alone takes yours; may be repeated',
  },
  'env-file': { type: 'string', valueHint: 'FILE', description: 'File of NAME=VALUE lines; may be repeated' },
  volume: {
    type: 'string',
    alias: 'v',
    valueHint: 'NAME:/PATH[:ro]',
    description: 'Named volume at a path; may be repeated',
  },
  publish: {
    type: 'string',
    alias: 'p',
    valueHint: '[HOST:]PORT',
    description: 'Port on 127.0.0.1; 0 or none takes a free one; may be repeated',
  },
  entrypoint: { type: 'string', valueHint: 'PROGRAM', description: "Instead of the image's; empty drops it" },
  workdir: { type: 'string', alias: 'w', valueHint: 'PATH', description: 'Working directory inside' },
  user: { type: 'string', alias: 'u', valueHint: 'NAME|UID[:GROUP]', description: 'User inside' },
  hostname: { type: 'string', description: 'Host name inside' },
  network: {
    type: 'enum',
    options: ['none', 'public'],
    description: 'public reaches the internet, never private or host addresses',
  },
  group: { type: 'string', description: 'Containers of one group reach each other by name' },
  'network-alias': { type: 'string', valueHint: 'NAME', description: 'Another name in the group; may be repeated' },
  memory: { type: 'string', alias: 'm', valueHint: 'SIZE', description: 'Memory limit, like 512m' },
  cpus: { type: 'string', valueHint: 'CORES', description: 'CPU limit, like 0.5' },
  pids: { type: 'string', alias: 'pids-limit', valueHint: 'N', description: 'Process limit' },
  restart: { type: 'string', valueHint: 'POLICY', description: 'no, on-failure[:N], always, unless-stopped' },
  'stop-signal': {
    type: 'string',
    valueHint: 'SIGNAL',
    description: "What stop sends; default the image's, else TERM",
  },
  'stop-timeout': { type: 'string', valueHint: 'SECONDS', description: 'From the stop signal to KILL' },
  label: { type: 'string', alias: 'l', valueHint: 'NAME=VALUE', description: 'May be repeated' },
  'health-cmd': { type: 'string', valueHint: 'LINE', description: 'Shell line that says whether it is healthy' },
  'health-interval': { type: 'string', valueHint: 'SPAN', description: 'Between checks (default 30s)' },
  'health-timeout': { type: 'string', valueHint: 'SPAN', description: 'Of one check (default 30s)' },
  'health-start-period': { type: 'string', valueHint: 'SPAN', description: 'Failures in it do not count (default 0s)' },
  'health-retries': { type: 'string', valueHint: 'N', description: 'Failures that make it unhealthy (default 3)' },
  'no-healthcheck': { type: 'boolean', description: "Switch the image's health check off" },
  pull: {
    type: 'enum',
    options: ['missing', 'always', 'never'],
    default: 'missing',
    description: 'When to bring the image from its registry',
  },
} as const satisfies ArgsDef;

type Flags = ParsedArgs<typeof containerFlags>;

function readEnvFile(path: string, context: RunContext): Record<string, string> {
  try {
    return readFlag(`--env-file ${path}`, () =>
      readEnvLines(readFileSync(resolve(context.cwd, path), 'utf8'), context.env),
    );
  } catch (cause) {
    if (cause instanceof WaferError) throw cause;
    throw new WaferError('usage', `--env-file can not be read: ${(cause as Error).message}`, { cause });
  }
}

function environment({ rawArgs, env, cwd, ...context }: RunContext): Record<string, string> {
  const files = repeated(rawArgs, ['--env-file']).map((path) => readEnvFile(path, { rawArgs, env, cwd, ...context }));
  const pairs = repeated(rawArgs, ['--env', '-e']).map((text) => readFlag('--env', () => readPair(text, env)));
  return Object.assign({}, ...files, Object.fromEntries(pairs.filter((pair) => pair !== null)));
}

function health(flags: Flags, rawArgs: readonly string[]): { health?: HealthCheck | null } {
  if (rawArgs.includes('--no-healthcheck')) return { health: null };
  const line = flags['health-cmd'];
  if (line === undefined) return {};
  const seconds = (flag: 'health-interval' | 'health-timeout' | 'health-start-period', otherwise: number) => {
    const text = flags[flag];
    return text === undefined ? otherwise : readFlag(`--${flag}`, () => readSeconds(text));
  };
  return {
    health: {
      test: ['CMD-SHELL', line],
      intervalSeconds: seconds('health-interval', 30),
      timeoutSeconds: seconds('health-timeout', 30),
      startPeriodSeconds: seconds('health-start-period', 0),
      retries: readFlag('--health-retries', () => readWhole(flags['health-retries'] ?? '3')),
    },
  };
}

function network(flags: Flags, rawArgs: readonly string[]): { network?: ContainerNetwork } {
  const aliases = repeated(rawArgs, ['--network-alias']);
  if (flags.group === undefined && aliases.length > 0)
    throw new WaferError('usage', '--network-alias is a name in a group.', { hint: 'Add --group NAME.' });
  if (flags.network === undefined && flags.group === undefined) return {};
  return {
    network: {
      mode: flags.network ?? 'public',
      ...(flags.group === undefined ? {} : { group: flags.group }),
      ...(aliases.length === 0 ? {} : { aliases }),
    },
  };
}

/** Leaves out what is undefined, which the API would take for a value. */
function given<T extends object>(values: { [K in keyof T]?: T[K] | undefined }): Partial<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Partial<T>;
}

const read = <T>(flag: string, text: string | undefined, reader: (text: string) => T): T | undefined =>
  text === undefined ? undefined : readFlag(flag, () => reader(text));

/** @throws WaferError `usage`, naming the flag */
export function containerRequest(flags: Flags, context: RunContext): ContainerRequest {
  const { rawArgs, rest } = context;
  const all = <T>(names: readonly string[], reader: (text: string) => T): T[] =>
    repeated(rawArgs, names).map((text) => readFlag(names[0] ?? '', () => reader(text)));
  const labels = all(['--label', '-l'], (text) => readPair(text.includes('=') ? text : `${text}=`, {}));
  const optional = given<Omit<ContainerRequest, 'image'>>({
    name: flags.name,
    entrypoint: flags.entrypoint === undefined ? undefined : flags.entrypoint === '' ? [] : [flags.entrypoint],
    command: rest.length === 0 ? undefined : [...rest],
    workingDir: flags.workdir,
    user: flags.user,
    hostname: flags.hostname,
    stopSignal: read('--stop-signal', flags['stop-signal'], readSignal),
    stopTimeoutSeconds: read('--stop-timeout', flags['stop-timeout'], (text) => readWhole(text, 0)),
    memoryMb: read('--memory', flags.memory, readMemoryMb),
    pids: read('--pids', flags.pids, (text) => readWhole(text)),
    cpuMillis: read('--cpus', flags.cpus, readCpuMillis),
    restart: read('--restart', flags.restart, readRestart),
    ...network(flags, rawArgs),
    ...health(flags, rawArgs),
  });
  if (flags.rm && optional.restart !== undefined && optional.restart.name !== 'no')
    throw new WaferError('usage', '--rm and --restart exclude each other.');
  return {
    ...optional,
    image: flags.image,
    env: environment(context),
    terminal: flags.tty === true,
    stdin: flags.interactive === true,
    mounts: all(['--volume', '-v'], readMount),
    ports: all(['--publish', '-p'], readPorts).flat(),
    removeOnExit: flags.rm === true,
    labels: Object.fromEntries(labels.filter((pair) => pair !== null)),
  };
}
