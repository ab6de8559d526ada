/** What an image and a container's config say together. No file is read, nothing runs. */
import { WaferError } from '../errors.ts';
import { AccountError, type AccountFiles, homeOf, processIds, type UserIds } from '../images/dockerfile/accounts.ts';
import { DEFAULT_PATH, DEFAULT_SHELL } from '../images/dockerfile/metadata.ts';
import type { ImageConfig } from '../images/types.ts';
import { ANONYMOUS_PREFIX } from './config.ts';
import type { RecordedMount } from './record.ts';
import { signalNumber } from './signals.ts';
import type { ContainerConfig, HealthCheck } from './types.ts';

type RunConfig = ImageConfig['config'];

/** Entrypoint and command, by Docker's rules. @throws WaferError `invalid_request` when nobody says what to run */
export function argvOf(config: Pick<ContainerConfig, 'entrypoint' | 'command' | 'image'>, image: RunConfig): string[] {
  const entrypoint = config.entrypoint ?? image.Entrypoint ?? [];
  const command = config.command ?? (config.entrypoint === undefined ? (image.Cmd ?? []) : []);
  const argv = [...entrypoint, ...command];
  if (argv[0] !== undefined && argv[0] !== '') return argv;
  throw new WaferError('invalid_request', `The image ${config.image} does not say what to run.`, {
    hint: 'Give a command.',
  });
}

export const envOf = (pairs: readonly string[] = []): Record<string, string> =>
  Object.fromEntries(pairs.map((pair) => [pair.split('=', 1)[0] ?? '', pair.slice(pair.indexOf('=') + 1)]));

/** @throws WaferError `invalid_request` for a user that the image does not have */
export function userOf(spec: string | undefined, files: AccountFiles): UserIds {
  try {
    return processIds(spec ?? '', files);
  } catch (error) {
    if (!(error instanceof AccountError)) throw error;
    throw new WaferError('invalid_request', `user: ${error.message}.`, { details: { path: 'user' } });
  }
}

interface EnvInput {
  config: Pick<ContainerConfig, 'env' | 'terminal'>;
  image: RunConfig;
  user: UserIds;
  accounts: AccountFiles;
  hostname: string;
}

/** Later ones win: what every program expects, the image's, the container's. */
export function programEnv({ config, image, user, accounts, hostname }: EnvInput): Record<string, string> {
  return {
    PATH: DEFAULT_PATH,
    HOME: homeOf(user.uid, accounts),
    HOSTNAME: hostname,
    ...(config.terminal ? { TERM: 'xterm' } : {}),
    ...envOf(image.Env),
    ...config.env,
  };
}

const cleanPath = (path: string) => path.replace(/\/+/g, '/').replace(/(.)\/$/, '$1');

/** The container's mounts, and the image's VOLUMEs that none of them covers. */
export function mountsOf(id: string, config: Pick<ContainerConfig, 'mounts'>, image: RunConfig): RecordedMount[] {
  const given = config.mounts.map(({ volume, path, readOnly }) => ({ volume, path: cleanPath(path), readOnly }));
  const covered = new Set(given.map(({ path }) => path));
  const declared = Object.keys(image.Volumes ?? {})
    .map(cleanPath)
    .filter((path) => path.startsWith('/') && path !== '/' && !path.split('/').includes('..') && !covered.has(path))
    .map((path) => ({ volume: null, path, readOnly: false }));
  return [...given, ...declared].map(({ volume, path, readOnly }, at) => ({
    volume: volume ?? `${ANONYMOUS_PREFIX}${id}-${at}`,
    path,
    readOnly,
    anonymous: volume === null,
  }));
}

export const hostnameOf = (id: string, config: Pick<ContainerConfig, 'hostname'>): string =>
  config.hostname ?? id.slice(0, 12);

const SIGTERM = 15;

export function stopSignalOf(config: Pick<ContainerConfig, 'stopSignal'>, image: RunConfig): number {
  if (config.stopSignal !== undefined) return signalNumber(config.stopSignal);
  try {
    return image.StopSignal === undefined ? SIGTERM : signalNumber(image.StopSignal);
  } catch {
    return SIGTERM; // a stranger's image
  }
}

const NANO = 1e9;
const DEFAULT_SECONDS = 30;
const DEFAULT_RETRIES = 3;

/** Null when there is nothing to check. */
export function healthOf(config: Pick<ContainerConfig, 'health'>, image: RunConfig): HealthCheck | null {
  if (config.health !== undefined) return config.health;
  const { Test = [], Interval, Timeout, StartPeriod, Retries } = image.Healthcheck ?? {};
  if (Test[0] !== 'CMD' && Test[0] !== 'CMD-SHELL') return null;
  const seconds = (value: number | undefined, fallback: number) => (value ? value / NANO : fallback);
  return {
    test: Test,
    intervalSeconds: seconds(Interval, DEFAULT_SECONDS),
    timeoutSeconds: seconds(Timeout, DEFAULT_SECONDS),
    startPeriodSeconds: seconds(StartPeriod, 0),
    retries: Retries || DEFAULT_RETRIES,
  };
}

/** What the check runs: a line goes to the image's shell. */
export function healthArgv({ test: [kind, ...rest] }: HealthCheck, image: RunConfig): string[] {
  return kind === 'CMD-SHELL' ? [...(image.Shell ?? DEFAULT_SHELL), ...rest] : rest;
}
