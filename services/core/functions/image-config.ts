/**
 * The settings of a function that is made of an image: what its labels say, overlaid by what
 * the deploy says, then by what the image itself shows. See docs/functions-from-images.md.
 */
import { WaferError } from '../errors.ts';
import type { ImageConfig } from '../images/types.ts';
import { configLimits, reuseRules } from './defaults.ts';
import { type ConfigFile, type FunctionConfig, RUNTIMES, type RuntimeName } from './schema.ts';
import { type ConfigProblem, refuse, validateConfig } from './validate.ts';

/** Image label: how many of the image's layers are the base's; the others are shown at /function. */
export const LABEL_BASE_LAYERS = 'dev.wafer.base-layers';
export const LABEL_BASE = 'dev.wafer.base';
export const LABEL_FUNCTION = 'dev.wafer.function';
export const LABEL_CONFIG = 'dev.wafer.config';
export const LABEL_RUNTIME = 'dev.wafer.runtime';

export interface ImageFacts {
  /** As people name it, for messages. */
  name: string;
  config: ImageConfig['config'];
  layers: number;
}

/** What one `execve` takes is 128 KiB a text, and INIT carries them all. */
const MAX_TEXT = 128 * 1024 - 1;
const MAX_ENVIRONMENT = 512 * 1024;
/** Read with every call, as a part of the version. */
const MAX_COMMAND = 32 * 1024;
const DEFAULT_HANDLER = { node: 'index.handler', python: 'main.handler' } as const;

/**
 * The image is of any origin: all it says is checked.
 * @throws WaferError `invalid_image` for what the image says, `invalid_config` for what `file` says
 */
export function configOfImage(file: ConfigFile, image: ImageFacts): FunctionConfig {
  const labelled = readLabels(image);
  const runtime = file.runtime ?? labelled.runtime ?? (exposedPorts(image.config).length > 0 ? 'http' : 'image');
  // What the image says of another runtime does not count for this one.
  const own = labelled.runtime === runtime ? labelled : withoutEntry(labelled);
  const merged: ConfigFile = { ...own, ...file };
  refuseMisfits(file, merged, runtime);
  assertEnvironment(merged, image);
  if (image.config.WorkingDir?.includes('\0')) throw refuseImage(image.name, 'its WORKDIR holds a NUL character');
  const isBuiltOver = baseLayersOf(image) > 0;
  return {
    runtime,
    base: isBuiltOver ? baseName(image) : '',
    handler: runtime === 'node' || runtime === 'python' ? (merged.handler ?? DEFAULT_HANDLER[runtime]) : '',
    command: runtime === 'http' || runtime === 'image' ? commandOf(merged, image) : [],
    env: merged.env ?? {},
    ...configLimits(merged),
    ...(runtime === 'image' ? { concurrency: 1, reuse: false } : {}),
  };
}

/** TCP ports that the image EXPOSEs, lowest first. */
export function exposedPorts({ ExposedPorts }: ImageConfig['config']): number[] {
  const names = typeof ExposedPorts === 'object' && ExposedPorts !== null ? Object.keys(ExposedPorts) : [];
  const ports = names.flatMap((name) => /^(\d{1,5})(?:\/tcp)?$/.exec(name)?.[1] ?? []).map(Number);
  return ports.filter((port) => port > 0 && port < 65_536).sort((a, b) => a - b);
}

/**
 * How many of the layers are a base image's; 0 when the image is one whole root.
 * @throws WaferError `invalid_image`
 */
export function baseLayersOf({ name, config, layers }: ImageFacts): number {
  const text = config.Labels?.[LABEL_BASE_LAYERS];
  if (text === undefined || text === null) return 0;
  const count = /^[1-9]\d{0,2}$/.test(text) ? Number(text) : layers + 1;
  if (count > layers) {
    throw refuseImage(name, `its label ${LABEL_BASE_LAYERS} is ${shown(text)}, and it has ${layers} layers`);
  }
  return count === layers ? 0 : count;
}

/** `NAME=value` of the image; later ones win. */
export function environmentOf({ Env }: ImageConfig['config']): Record<string, string> {
  const pairs = (Env ?? []).flatMap((text): [string, string][] => {
    const equals = text.indexOf('=');
    return equals > 0 && !text.includes('\0') ? [[text.slice(0, equals), text.slice(equals + 1)]] : [];
  });
  return Object.fromEntries(pairs);
}

export function refuseImage(name: string, why: string, hint?: string): WaferError {
  return new WaferError('invalid_image', `The image ${shown(name)} can not be a function: ${why}.`, {
    ...(hint === undefined ? {} : { hint }),
  });
}

/** Only shown: the base's layers are in the image. */
const baseName = ({ config }: ImageFacts) => /^[\w.-]{1,64}$/.exec(config.Labels?.[LABEL_BASE] ?? '')?.[0] ?? 'unknown';
const shown = (text: string) => JSON.stringify(text.slice(0, 120));
const isRuntime = (text: string): text is RuntimeName => RUNTIMES.some((known) => known === text);

function withoutEntry(labelled: ConfigFile): ConfigFile {
  const { handler: _handler, command: _command, runtime, reuse, ...rest } = labelled;
  // A program for each call never reuses; that says nothing about what runs instead.
  return runtime === 'image' || reuse === undefined ? rest : { ...rest, reuse };
}

/** Settings as another Wafer, or a `LABEL`, wrote them. */
function readLabels(image: ImageFacts): ConfigFile {
  const labels = image.config.Labels ?? {};
  const { [LABEL_CONFIG]: settings, [LABEL_RUNTIME]: runtime } = labels;
  const own = typeof settings === 'string' ? readSettings(settings, image.name) : {};
  if (typeof runtime !== 'string') return own;
  if (isRuntime(runtime)) return { ...(own.runtime === runtime ? own : withoutEntry(own)), runtime };
  throw refuseImage(
    image.name,
    `its label ${LABEL_RUNTIME} is ${shown(runtime)}`,
    `The runtimes are ${RUNTIMES.join(', ')}.`,
  );
}

/** What a version stores, back to what a person writes: empty means not set. Keys of a later Wafer are passed over. */
function readSettings(text: string, name: string): ConfigFile {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return validateConfig(value);
    const known = Object.entries(value).filter(([key, setting]) => isSet(key, setting));
    return validateConfig(Object.fromEntries(known));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message.replace(/\.$/, '') : 'unreadable';
    throw refuseImage(name, `its label ${LABEL_CONFIG} is not valid (${why.slice(0, 300)})`);
  }
}

/** Not `onSuccess` and `onFailure`, nor secrets: where results go, and who gets what, is said by whoever deploys. */
const FROM_LABEL = [
  'runtime',
  'handler',
  'command',
  'env',
  'timeoutMs',
  'memoryMb',
  'tmpMb',
  'cpu',
  'pids',
  'openFiles',
  'fileMb',
  'concurrency',
  'minInstances',
  'retries',
  'queue',
  'reuse',
];
const isSet = (key: string, setting: unknown) =>
  FROM_LABEL.includes(key) && setting !== '' && !(Array.isArray(setting) && setting.length === 0);

function commandOf(merged: ConfigFile, { name, config }: ImageFacts): string[] {
  if (merged.command !== undefined) return merged.command;
  const argv = [...(config.Entrypoint ?? []), ...(config.Cmd ?? [])];
  if (argv.some((text) => text.includes('\0'))) throw refuseImage(name, 'its ENTRYPOINT or CMD holds a NUL character');
  if (Buffer.byteLength(argv.join()) > MAX_COMMAND)
    throw refuseImage(name, `its ENTRYPOINT and CMD have more than ${MAX_COMMAND} bytes`);
  if (argv[0] !== undefined && argv[0] !== '') return argv;
  throw refuseImage(
    name,
    'it has neither ENTRYPOINT nor CMD, so there is nothing to run',
    'Set "command" in wafer.json, or give the image an ENTRYPOINT.',
  );
}

function refuseMisfits(file: ConfigFile, merged: ConfigFile, runtime: RuntimeName): void {
  const problems: ConfigProblem[] = runtime === 'image' ? [] : reuseRules(merged);
  const add = (path: string, problem: string) => problems.push({ path, problem });
  const hasHandler = runtime === 'node' || runtime === 'python';
  if (file.base !== undefined)
    add('/base', 'is for functions that are built over a base image; this one is an image itself');
  if (file.command !== undefined && hasHandler)
    add('/command', `is for http and image; runtime "${runtime}" has "handler"`);
  if (file.handler !== undefined && !hasHandler)
    add('/handler', `is for node and python; runtime "${runtime}" has "command", or the ENTRYPOINT of its image`);
  if (runtime === 'image' && (file.concurrency ?? 1) !== 1)
    add('/concurrency', 'must be 1 for runtime "image": each call has a sandbox of its own');
  if (runtime === 'image' && file.reuse === true)
    add('/reuse', 'can not be true for runtime "image": each call has a sandbox of its own, which ends with it');
  if (problems.length > 0) throw refuse(problems);
}

function assertEnvironment({ env = {} }: ConfigFile, { name, config }: ImageFacts): void {
  const all = Object.entries({ ...environmentOf(config), ...env }).map(([key, value]) =>
    Buffer.byteLength(key + value),
  );
  const total = all.reduce((sum, size) => sum + size + 2, 0);
  if (total > MAX_ENVIRONMENT || all.some((size) => size + 1 > MAX_TEXT))
    throw refuseImage(
      name,
      `its environment is too large; all of it may have ${MAX_ENVIRONMENT} bytes, one variable ${MAX_TEXT}`,
    );
}
