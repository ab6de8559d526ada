/** `wafer.json` + what the archive holds -> the settings that a version stores. */
import { WaferError } from '../errors.ts';
import { storedEgress } from './egress.ts';
import { nearest } from './nearest.ts';
import { ConfigFile, type FunctionConfig, type RuntimeName } from './schema.ts';
import { type ConfigProblem, refuse } from './validate.ts';

export interface ArchiveFacts {
  /** Paths of all files, relative to the function's folder. */
  files: readonly string[];
  /** Name of the newest base image of a runtime; may throw when there is none. */
  defaultBase: (runtime: BuiltRuntime) => string;
}

/** Runtimes whose versions are built from a folder over a base image. */
export type BuiltRuntime = Exclude<RuntimeName, 'image'>;

/** Looked for in this order. */
const EXTENSIONS = {
  node: ['mjs', 'js', 'cjs', 'ts', 'mts', 'cts'],
  python: ['py'],
} as const;

const DEFAULT_FILE = { node: 'index', python: 'main' } as const;
const DEFAULT_EXPORT = 'handler';
const MAX_FILES_SHOWN = 12;
const GUESS_HINT = 'Add "runtime" to wafer.json: "node", "python" or "http"; or a Dockerfile to the folder.';

/** @throws WaferError `invalid_config | missing_handler`, and what `facts.defaultBase` throws */
export function applyDefaults(file: ConfigFile, facts: ArchiveFacts): FunctionConfig {
  const files = new Set(facts.files.map((path) => path.replace(/^\.\//, '')));
  const runtime = builtRuntime(file.runtime ?? guessRuntime(file, files));
  const problems = crossRules(file, runtime);
  if (problems.length > 0) throw refuse(problems);
  return {
    runtime,
    base: file.base ?? facts.defaultBase(runtime),
    handler: runtime === 'http' ? '' : chooseHandler(file.handler, runtime, files),
    command: file.command ?? [],
    env: file.env ?? {},
    ...configLimits(file),
  };
}

export function configLimits(
  file: ConfigFile,
): Pick<FunctionConfig, LimitName | DurableName | SecretName | 'volumes' | 'reuse' | 'egress' | GivenLimit> {
  return {
    timeoutMs: limit(file, 'timeoutMs'),
    memoryMb: limit(file, 'memoryMb'),
    tmpMb: limit(file, 'tmpMb'),
    ...givenLimits(file),
    concurrency: limit(file, 'concurrency'),
    minInstances: limit(file, 'minInstances'),
    ...storedEgress(file.egress),
    ...secretSettings(file),
    ...durableSettings(file),
    ...volumesOf(file),
    reuse: file.reuse ?? !isTransactional(file),
  };
}

const isTransactional = ({ volumes = [] }: Pick<ConfigFile, 'volumes'>) => volumes.some(({ mode }) => mode === 'tx');

const volumesOf = ({ volumes = [] }: ConfigFile): Pick<FunctionConfig, 'volumes'> =>
  volumes.length === 0 ? {} : { volumes: volumes.map(({ mode = 'rw', ...one }) => ({ ...one, mode })) };

/** Stored when they were written: without them an instance has what its blank has. */
const GIVEN_LIMITS = ['cpu', 'pids', 'openFiles', 'fileMb'] as const;
type GivenLimit = (typeof GIVEN_LIMITS)[number];

const givenLimits = (file: ConfigFile): Pick<FunctionConfig, GivenLimit> =>
  Object.fromEntries(GIVEN_LIMITS.flatMap((name) => (file[name] === undefined ? [] : [[name, file[name]]])));

type SecretName = 'secrets' | 'secretEnv';

const secretSettings = ({ secrets = [], secretEnv = {} }: ConfigFile): Pick<FunctionConfig, SecretName> => ({
  ...(secrets.length > 0 && { secrets }),
  ...(Object.keys(secretEnv).length > 0 && { secretEnv }),
});

type DurableName = 'retries' | 'queue' | 'onSuccess' | 'onFailure';

/** Of invocations that are accepted first and run later: what was set. */
const durableSettings = ({ retries, queue, onSuccess, onFailure }: ConfigFile): Pick<FunctionConfig, DurableName> => ({
  ...(retries !== undefined && { retries }),
  ...(queue !== undefined && { queue }),
  ...(onSuccess !== undefined && { onSuccess }),
  ...(onFailure !== undefined && { onFailure }),
});

function builtRuntime(runtime: RuntimeName): BuiltRuntime {
  if (runtime !== 'image') return runtime;
  throw refuse([
    {
      path: '/runtime',
      problem: '"image" needs a Dockerfile in the folder, or an image: wafer deploy --image REFERENCE',
    },
  ]);
}

type LimitName = 'timeoutMs' | 'memoryMb' | 'tmpMb' | 'concurrency' | 'minInstances';

function limit(file: ConfigFile, name: LimitName): number {
  const value = file[name] ?? Reflect.get(ConfigFile.properties[name], 'default');
  if (typeof value === 'number') return value;
  throw new WaferError('internal', `The schema has no default for ${name}.`);
}

function guessRuntime(file: ConfigFile, files: Set<string>): BuiltRuntime {
  if (file.command !== undefined) return 'http';
  const has = (...names: string[]) => names.some((name) => files.has(name));
  const node = has('package.json', ...EXTENSIONS.node.map((extension) => `index.${extension}`));
  const python = has('main.py', 'requirements.txt', 'pyproject.toml');
  if (node && !python) return 'node';
  if (python && !node) return 'python';
  const why = node
    ? 'the files look like both node and python'
    : 'there is no package.json, index.js, index.mjs, index.ts, main.py or requirements.txt';
  throw new WaferError('invalid_config', `/runtime: is not set and can not be guessed: ${why}${present(files)}.`, {
    hint: GUESS_HINT,
    details: { path: '/runtime' },
  });
}

/** What depends on more than one setting. */
function crossRules(file: ConfigFile, runtime: BuiltRuntime): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const add = (path: string, problem: string) => problems.push({ path, problem });
  if (runtime === 'http') {
    if (file.command === undefined) add('/command', 'is needed by runtime "http", like ["node", "server.js"]');
    if (file.handler !== undefined) add('/handler', 'is for node and python; runtime "http" has "command"');
  } else if (file.command !== undefined) {
    add('/command', `is for runtime "http"; runtime "${runtime}" has "handler"`);
  }
  if (file.handler !== undefined && !isInside(file.handler))
    add('/handler', 'must not leave the folder of the function');
  return [...problems, ...reuseRules(file)];
}

/** An instance that ends with its call has no second one beside it. */
export function reuseRules(file: Pick<ConfigFile, 'reuse' | 'concurrency' | 'volumes'>): ConfigProblem[] {
  const { reuse, concurrency = 1 } = file;
  if (isTransactional(file)) {
    const why = 'with a volume of mode "tx": what a call leaves open would be written to behind its end';
    if (reuse === true) return [{ path: '/reuse', problem: `must be false ${why}` }];
    if (concurrency > 1) return [{ path: '/concurrency', problem: `must be 1 ${why}` }];
  }
  if (reuse !== false || concurrency === 1) return [];
  return [{ path: '/concurrency', problem: 'must be 1 with "reuse": false: each call has an instance of its own' }];
}

const isInside = (handler: string) => !handler.startsWith('/') && !handler.split('/').includes('..');

/** The handler's file must be there; the export is checked when the function is loaded. */
function chooseHandler(wanted: string | undefined, runtime: 'node' | 'python', files: Set<string>): string {
  const handler = (wanted ?? `${DEFAULT_FILE[runtime]}.${DEFAULT_EXPORT}`).replace(/^(\.\/)+/, '');
  const dot = handler.lastIndexOf('.');
  const stem = handler.slice(0, dot);
  const candidates = EXTENSIONS[runtime].map((extension) => `${stem}.${extension}`);
  if (candidates.some((candidate) => files.has(candidate))) return handler;
  const withoutEnding = EXTENSIONS[runtime].find((extension) => stem.endsWith(`.${extension}`) && files.has(stem));
  if (withoutEnding === undefined) throw missingHandler(handler, candidates, files);
  const better = stem.slice(0, -withoutEnding.length) + handler.slice(dot + 1);
  throw refuse([{ path: '/handler', problem: `names the file without its ending: "${better}"` }]);
}

function missingHandler(handler: string, candidates: string[], files: Set<string>): WaferError {
  const close = nearest(candidates[0] ?? '', [...files]);
  const message = `Handler "${handler}" needs one of ${candidates.join(', ')}${present(files)}.`;
  const hint =
    close === undefined
      ? 'Set "handler" in wafer.json to "file.export".'
      : `Did you mean ${close}? Set "handler" in wafer.json.`;
  return new WaferError('missing_handler', message, { hint, details: { path: '/handler', lookedFor: candidates } });
}

/** `; the files are a, b, c`: top-level ones first, so that a person sees where they are. */
function present(files: Set<string>): string {
  if (files.size === 0) return '; the archive holds no file';
  const sorted = [...files].sort((a, b) => a.split('/').length - b.split('/').length || (a < b ? -1 : 1));
  const more = sorted.length - MAX_FILES_SHOWN;
  return `; the files are ${sorted.slice(0, MAX_FILES_SHOWN).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
