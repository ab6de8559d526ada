/** Which functions name which secrets. */
import { WaferError } from '../errors.ts';
import { secretRefs } from '../functions/secret-refs.ts';
import type { FunctionRecord, FunctionStore, FunctionVersion } from '../functions/types.ts';

type Functions = Pick<FunctionStore, 'list' | 'versions'>;

const namesIn = ({ config }: FunctionVersion) => secretRefs(config).map(({ ref }) => ref);

/** One that was removed meanwhile has none. */
const versionsOf = (functions: Functions, { name }: FunctionRecord): Promise<FunctionVersion[]> =>
  functions.versions(name).catch((error: unknown) => {
    if (error instanceof WaferError && error.code === 'function_not_found') return [];
    throw error;
  });

/** Secret -> functions, by what calls can get to by an alias. */
export async function namedSecrets(functions: Functions): Promise<Map<string, string[]>> {
  const used = new Map<string, string[]>();
  for (const record of await functions.list()) {
    const reachable = new Set(Object.values(record.aliases));
    const versions = (await versionsOf(functions, record)).filter(({ number }) => reachable.has(number));
    for (const name of new Set(versions.flatMap(namesIn).map((ref) => ref.name)))
      used.set(name, [...(used.get(name) ?? []), record.name]);
  }
  return used;
}

export const usersOf = async (functions: Functions, secret: string): Promise<string[]> =>
  (await namedSecrets(functions)).get(secret) ?? [];

/** By any version that is there: it can still be called. */
export async function pinnedVersions(functions: Functions, secret: string): Promise<Set<number>> {
  const records = await functions.list();
  const versions = (await Promise.all(records.map((record) => versionsOf(functions, record)))).flat();
  const pins = versions.flatMap(namesIn).filter(({ name }) => name === secret);
  return new Set(pins.flatMap(({ version }) => (version === undefined ? [] : [version])));
}
