/** `environment` and `env_file` of a service. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { isErrno, WaferError } from '../../core/errors.ts';
import { DotenvError, readDotenv } from './dotenv.ts';
import { checkKeys } from './keys.ts';
import { type Place, refuse } from './places.ts';
import { asBoolean, asList, asMap, asPairs, asText } from './values.ts';
import type { Value } from './yaml-tree.ts';

type Get = (name: string) => string | undefined;

/** @throws WaferError `usage`, naming file and line */
export function loadDotenv(path: string, get: Get): { name: string; value: string | null }[] {
  try {
    return readDotenv(readFileSync(path, 'utf8'), get);
  } catch (error) {
    if (!(error instanceof DotenvError)) throw error;
    throw new WaferError('usage', `${path}:${error.line}: ${error.message}.`);
  }
}

function loadEnvFile(path: string, required: boolean, get: Get, at: Place): Record<string, string> {
  try {
    const pairs = loadDotenv(path, get).map(({ name, value }) => [name, value ?? get(name)]);
    return Object.fromEntries(pairs.filter(([, value]) => value !== undefined));
  } catch (error) {
    if (error instanceof WaferError) throw error;
    if (!required && isErrno(error, 'ENOENT')) return {};
    throw refuse(at, `"env_file" can not be read: ${(error as Error).message}`);
  }
}

export function readEnvFiles(value: Value, dir: string, get: Get): Record<string, string> {
  const files = asList('env_file', value, { oneToo: true }).map((item) => {
    if (item.kind !== 'map') return loadEnvFile(resolve(dir, asText('env_file', item)), true, get, item.at);
    const map = asMap('env_file', item);
    checkKeys(map, 'env_file', ['path', 'required']);
    const path = map.entries.get('path')?.value;
    if (path === undefined) throw refuse(map.at, '"env_file": "path" is missing.');
    const required = map.entries.get('required')?.value;
    const isRequired = required === undefined || asBoolean('required', required);
    return loadEnvFile(resolve(dir, asText('path', path)), isRequired, get, path.at);
  });
  return Object.assign({}, ...files);
}

/** A name alone takes the caller's value; without one it is not set. */
export function readEnvironment(value: Value, get: Get): Record<string, string> {
  const pairs = asPairs('environment', value).map(([name, text]) => [name, text ?? get(name)]);
  return Object.fromEntries(pairs.filter(([, text]) => text !== undefined));
}
