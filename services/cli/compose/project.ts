/** Finds a compose file and reads it. */
import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { isErrno, WaferError } from '../../core/errors.ts';
import { startOrder } from './depends-on.ts';
import { loadDotenv } from './environment.ts';
import { interpolate } from './interpolate.ts';
import { checkKeys } from './keys.ts';
import type { VolumeNames } from './mounts.ts';
import { refuse } from './places.ts';
import { readService } from './service.ts';
import type { ComposeProject, ComposeService } from './types.ts';
import { asBoolean, asMap, asText } from './values.ts';
import { type MapValue, readYaml } from './yaml-tree.ts';

type Env = Record<string, string | undefined>;

export interface ProjectOptions {
  /** As typed; else it is looked for in `cwd` and above. */
  file: string | undefined;
  projectName: string | undefined;
  cwd: string;
  env: Env;
}

export const COMPOSE_FILES = ['compose.yaml', 'compose.yml', 'docker-compose.yaml', 'docker-compose.yml'] as const;
const OVERRIDES = COMPOSE_FILES.map((name) => name.replace('compose.', 'compose.override.'));

const NAME = /^[a-z0-9][a-z0-9_-]{0,59}$/;
const SERVICE = /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$/;

/** @throws WaferError `usage` when there is none */
function locate({ file, cwd, env }: ProjectOptions): string {
  const named = file ?? env['COMPOSE_FILE'];
  if (named !== undefined && named !== '') return resolve(cwd, named);
  for (let dir = cwd; ; dir = dirname(dir)) {
    const found = COMPOSE_FILES.map((name) => join(dir, name)).find((path) => existsSync(path));
    if (found !== undefined) return found;
    if (dir === dirname(dir)) break;
  }
  throw new WaferError('usage', `There is no compose file in ${cwd} or above.`, {
    hint: `It is called ${COMPOSE_FILES[0]}; name another with --file.`,
  });
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new WaferError('usage', `The compose file can not be read: ${(cause as Error).message}`, { cause });
  }
}

/** The caller's variables over those of `.env` beside the file. */
function variablesOf(dir: string, env: Env): (name: string) => string | undefined {
  const path = join(dir, '.env');
  const file = new Map<string, string>();
  try {
    for (const { name, value } of loadDotenv(path, (name) => env[name])) if (value !== null) file.set(name, value);
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
  return (name) => env[name] ?? file.get(name);
}

/** What a folder is called, as a name: lower case, what does not fit left out. */
export const projectNameOf = (text: string): string =>
  text
    .toLowerCase()
    .replace(/[^a-z0-9_-]/g, '')
    .replace(/^[_-]+/, '')
    .slice(0, 60);

function nameOf(root: MapValue, dir: string, given: string | undefined): string {
  const own = root.entries.get('name')?.value;
  const chosen = given ?? (own === undefined ? projectNameOf(basename(dir)) : asText('name', own));
  if (NAME.test(chosen)) return chosen;
  const hint = 'It has lower-case letters, digits, "-" and "_"; give one with --project-name.';
  const message = `${JSON.stringify(chosen.slice(0, 80))} can not be the name of a project.`;
  if (own !== undefined && given === undefined) throw refuse(own.at, message, hint);
  throw new WaferError('usage', message, { hint });
}

function readVolumes(root: MapValue, project: string): VolumeNames {
  const names = new Map<string, string>();
  const value = root.entries.get('volumes')?.value;
  if (value === undefined || value.kind === 'null') return names;
  for (const [key, { value: one }] of asMap('volumes', value).entries) {
    if (one.kind === 'null') {
      names.set(key, `${project}_${key}`);
      continue;
    }
    const map = asMap(`volumes.${key}`, one);
    checkKeys(map, `volume ${key}`, ['name', 'external', 'labels']);
    const external = map.entries.get('external')?.value;
    const isExternal = external !== undefined && asBoolean('external', external);
    const name = map.entries.get('name')?.value;
    names.set(key, name === undefined ? (isExternal ? key : `${project}_${key}`) : asText('name', name));
  }
  return names;
}

const ROOT_HINTS = {
  networks: 'Leave it out: the services of a file reach each other by name on a network of their own.',
  secrets: 'Use env_file of a service.',
  configs: 'Build the files into an image, or copy them with "wafer cp".',
  include: 'Put the services into one file.',
};

function readServices(root: MapValue, context: Parameters<typeof readService>[3]): Map<string, ComposeService> {
  const services = root.entries.get('services');
  if (services === undefined || services.value.kind === 'null')
    throw refuse(services?.at ?? root.at, 'there are no "services".');
  const found = new Map<string, ComposeService>();
  for (const [name, { value, at }] of asMap('services', services.value).entries) {
    if (!SERVICE.test(name)) throw refuse(at, `${JSON.stringify(name.slice(0, 80))} can not be the name of a service.`);
    found.set(name, readService(name, value, at, context));
  }
  if (found.size === 0) throw refuse(services.at, 'there are no "services".');
  return found;
}

/** @throws WaferError `usage`, with file, line and column */
export function loadProject(options: ProjectOptions): ComposeProject {
  const { cwd, env } = options;
  const path = locate(options);
  const dir = dirname(path);
  const get = variablesOf(dir, env);
  const missing = new Set<string>();
  const variables = { get, onMissing: (name: string) => void missing.add(name) };
  const shown = relative(cwd, path).startsWith('..') ? path : relative(cwd, path);
  const root = readYaml(readText(path), shown, (text) => interpolate(text, variables));
  if (root.kind !== 'map') throw refuse(root.at, 'a compose file is a map with "services".');
  checkKeys(root, 'compose file', ['name', 'services', 'volumes', 'version'], ROOT_HINTS);
  const name = nameOf(root, dir, options.projectName ?? (get('COMPOSE_PROJECT_NAME') || undefined));
  const services = readServices(root, { dir, project: name, volumes: readVolumes(root, name), get });
  startOrder(services);
  const override = OVERRIDES.find((one) => options.file === undefined && existsSync(join(dir, one)));
  return {
    name,
    path,
    dir,
    services,
    warnings: [
      ...[...missing].map((one) => `The variable ${one} is not set; it is empty.`),
      ...(override === undefined ? [] : [`${override} is not read: one file makes a project.`]),
    ],
  };
}
