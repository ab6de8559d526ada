/** Functions and versions in memory; `hello` (two versions) and `other` are there from the start. */
import { WaferError } from '../../../services/core/errors.ts';
import type { FunctionRecord, FunctionStore, FunctionVersion } from '../../../services/core/functions/types.ts';

export const VERSION = {
  image: `sha256:${'a'.repeat(64)}`,
  base: 'node24',
  config: {
    runtime: 'node' as const,
    base: 'node24',
    handler: 'index.handler',
    command: [],
    env: {},
    timeoutMs: 30_000,
    memoryMb: 256,
    tmpMb: 64,
    concurrency: 1,
    minInstances: 0,
    reuse: true,
  },
  codeBytes: 10,
  addedBytes: 20,
};

export function createFunctions(): FunctionStore {
  const all = new Map<string, { record: FunctionRecord; versions: FunctionVersion[] }>();
  const get = (name: string) => {
    const found = all.get(name);
    if (found === undefined) throw new WaferError('function_not_found', `There is no function "${name}".`);
    return found;
  };
  const publish = (name: string): FunctionVersion => {
    const entry = all.get(name) ?? { record: { name, createdAt: 1, aliases: {}, latest: 0 }, versions: [] };
    const version = { ...VERSION, functionName: name, number: entry.versions.length + 1, createdAt: 1 };
    entry.versions.push(version);
    entry.record.latest = version.number;
    entry.record.aliases['live'] = version.number;
    all.set(name, entry);
    return version;
  };
  const version = (name: string, number: number) => {
    const found = get(name).versions[number - 1];
    if (found === undefined) throw new WaferError('version_not_found', `"${name}" has no version ${number}.`);
    return found;
  };
  for (const name of ['hello', 'hello', 'other']) publish(name);
  return {
    list: async () => [...all.values()].map(({ record }) => record),
    get: async (name) => get(name).record,
    versions: async (name) => get(name).versions,
    resolve: async (name, { alias = 'live', version: number } = {}) => {
      const wanted = number ?? get(name).record.aliases[alias];
      if (wanted === undefined) throw new WaferError('alias_not_found', `"${name}" has no alias "${alias}".`);
      return version(name, wanted);
    },
    publish: async ({ functionName }) => publish(functionName),
    setAlias: async (name, alias, number) => {
      version(name, number);
      get(name).record.aliases[alias] = number;
      return get(name).record;
    },
    remove: async (name) => {
      get(name);
      all.delete(name);
    },
  };
}
