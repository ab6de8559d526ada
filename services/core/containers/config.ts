/** What a container is asked to be: defaults for what was left out, and checks that need no image. */
import { WaferError } from '../errors.ts';
import { signalNumber } from './signals.ts';
import type { ContainerConfig, ContainerMount, ExecConfig, HealthCheck, PortBinding } from './types.ts';

export const STOP_TIMEOUT_SECONDS = 10;
const MAX_TEXT = 32 * 1024;
const MAX_LIST = 256;
/** All of argv and env together; the kernel and the engine's frames take little more. */
const MAX_START_BYTES = 512 * 1024;

/** With the defaults of everything but the image. */
export function withDefaults(config: Partial<ContainerConfig> & Pick<ContainerConfig, 'image'>): ContainerConfig {
  return {
    env: {},
    terminal: false,
    stdin: false,
    mounts: [],
    ports: [],
    network: { mode: 'public' },
    restart: { name: 'no', maximumRetries: 0 },
    removeOnExit: false,
    stopTimeoutSeconds: STOP_TIMEOUT_SECONDS,
    labels: {},
    ...config,
  };
}

const refuse = (field: string, problem: string) =>
  new WaferError('invalid_request', `${field} ${problem}.`, { details: { path: field } });

/** @throws WaferError `invalid_request` naming the field */
export function checkConfig(config: ContainerConfig): ContainerConfig {
  checkProgram(config.entrypoint ?? [], config.command ?? [], config.env);
  checkPlace(config.workingDir, config.user);
  if (config.hostname !== undefined) checkHostname('hostname', config.hostname);
  if (config.stopSignal !== undefined) signalNumber(config.stopSignal);
  checkMounts(config.mounts);
  checkPorts(config.ports);
  if (config.network.group !== undefined) checkHostname('network/group', config.network.group);
  for (const alias of config.network.aliases ?? []) checkHostname('network/aliases', alias);
  if (config.removeOnExit && config.restart.name !== 'no')
    throw refuse('removeOnExit', 'does not go together with a restart policy');
  if (config.restart.name !== 'on-failure' && config.restart.maximumRetries !== 0)
    throw refuse('restart/maximumRetries', 'is only for the policy on-failure');
  if (config.health) checkHealth(config.health);
  return config;
}

/** @throws WaferError `invalid_request` naming the field */
export function checkExec(config: ExecConfig): ExecConfig {
  if (config.argv.length === 0 || config.argv[0] === '') throw refuse('argv', 'names no program');
  checkProgram(config.argv, [], config.env);
  checkPlace(config.workingDir, config.user);
  return config;
}

function checkProgram(entrypoint: string[], command: string[], env: Record<string, string>): void {
  const words = [...entrypoint, ...command];
  if (words.some((word) => word.includes('\0'))) throw refuse('command', 'holds a NUL byte');
  for (const [name, value] of Object.entries(env)) {
    if (!/^[^=\0]+$/.test(name)) throw refuse('env', `has a name that is none: ${JSON.stringify(name.slice(0, 64))}`);
    if (value.includes('\0')) throw refuse(`env/${name.slice(0, 64)}`, 'holds a NUL byte');
  }
  const texts = [...words, ...Object.entries(env).flat()];
  const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text) + 1, 0);
  if (bytes > MAX_START_BYTES) throw refuse('command and env', `have more than ${MAX_START_BYTES / 1024} KiB together`);
}

function checkPlace(workingDir: string | undefined, user: string | undefined): void {
  if (workingDir !== undefined) checkPath('workingDir', workingDir);
  if (user !== undefined && !/^[^:\s\0]{1,64}(:[^:\s\0]{1,64})?$/.test(user))
    throw refuse('user', 'is not a user, or user:group, by name or number');
}

/** Absolute inside, and not a way to say another path. */
export function checkPath(field: string, path: string): string {
  const isPlain = path.startsWith('/') && !/[\0\n]/.test(path) && path.length <= 4096;
  if (isPlain && !path.split('/').includes('..')) return path;
  throw refuse(field, 'is not an absolute path without ".."');
}

const LABEL = /^[a-zA-Z0-9]([a-zA-Z0-9_-]{0,61}[a-zA-Z0-9])?$/;

function checkHostname(field: string, name: string): void {
  if (name.length <= 253 && name.split('.').every((label) => LABEL.test(label))) return;
  throw refuse(field, `${JSON.stringify(name.slice(0, 64))} is not a host name`);
}

export const VOLUME_NAME = '^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,63}$';
const VOLUME = new RegExp(VOLUME_NAME);
/** Volumes that containers were given without a name; nobody may name one. */
export const ANONYMOUS_PREFIX = 'anon-';
/** The platform's own places. */
const TAKEN = ['/proc', '/sys', '/dev', '/.wafer'];

function checkMounts(mounts: readonly ContainerMount[]): void {
  if (mounts.length > MAX_LIST) throw refuse('mounts', `has more than ${MAX_LIST} entries`);
  const seen = new Set<string>();
  for (const { volume, path } of mounts) {
    checkPath('mounts/path', path);
    const place = path.replace(/\/+$/, '').replace(/\/+/g, '/');
    if (place === '') throw refuse('mounts/path', 'can not be the root');
    if (TAKEN.some((one) => place === one || place.startsWith(`${one}/`)) && place !== '/dev/shm')
      throw refuse('mounts/path', `${place} belongs to the platform`);
    if (seen.has(place)) throw refuse('mounts/path', `${place} is there twice`);
    seen.add(place);
    if (volume !== null && (!VOLUME.test(volume) || volume.startsWith(ANONYMOUS_PREFIX)))
      throw refuse('mounts/volume', `${JSON.stringify(volume.slice(0, 64))} can not be the name of a volume`);
  }
}

function checkPorts(ports: readonly PortBinding[]): void {
  if (ports.length > MAX_LIST) throw refuse('ports', `has more than ${MAX_LIST} entries`);
  const fixed = ports.filter(({ hostPort }) => hostPort !== 0).map((one) => `${one.hostAddress} ${one.hostPort}`);
  if (new Set(fixed).size !== fixed.length) throw refuse('ports', 'has one host port twice');
}

function checkHealth({ test }: HealthCheck): void {
  const [kind, ...rest] = test;
  const isCommand = kind === 'CMD' && rest.length > 0;
  const isShell = kind === 'CMD-SHELL' && rest.length === 1;
  if (!isCommand && !isShell) throw refuse('health/test', 'is neither ["CMD", program, ...] nor ["CMD-SHELL", line]');
  if (rest.some((word) => word.includes('\0') || word.length > MAX_TEXT)) throw refuse('health/test', 'is too long');
}
