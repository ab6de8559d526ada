/** Functions, versions and aliases in Redis; every change is one script, so it happens whole or not at all. */
import type { Redis } from 'ioredis';
import { type ErrorCode, WaferError } from '../errors.ts';
import { withStore } from '../store/errors.ts';
import { DEFAULT_NAMESPACE, type Keys, keysOf } from '../store/keys.ts';
import { publishScript, removeScript, resolveScript, setAliasScript } from '../store/scripts/functions.ts';
import { runScript } from '../store/scripts/script.ts';
import { checkAlias, checkFunctionName, isName, LIVE_ALIAS } from './names.ts';
import { nearest } from './nearest.ts';
import type { FunctionRecord, FunctionStore, FunctionVersion } from './types.ts';

export interface FunctionStoreOptions {
  namespace?: string;
  now?: () => number;
}

interface Context {
  redis: Redis;
  keys: Keys;
  now: () => number;
}

export function createFunctionStore(redis: Redis, options: FunctionStoreOptions = {}): FunctionStore {
  const { namespace = DEFAULT_NAMESPACE, now = Date.now } = options;
  const context: Context = { redis, keys: keysOf(namespace), now };
  return {
    list: () => withStore('list functions', async () => readRecords(context, await allNames(context))),
    get: (name) => get(context, name),
    versions: (name) => versions(context, name),
    resolve: (name, selector = {}) => resolve(context, name, selector),
    publish: (version) => publish(context, version),
    setAlias: (name, alias, version) => setAlias(context, name, alias, version),
    remove: (name) => remove(context, name),
  };
}

async function get(context: Context, name: string): Promise<FunctionRecord> {
  const read = () => readRecords(context, isName(name) ? [name] : []);
  const [record] = await withStore(`read ${name}`, read);
  if (record === undefined) throw await functionNotFound(context, name);
  return record;
}

/** Newest first. */
async function versions(context: Context, name: string): Promise<FunctionVersion[]> {
  const { redis, keys } = context;
  const read = () => (isName(name) ? redis.hvals(keys.versions(name)) : Promise.resolve([]));
  const stored = await withStore(`read the versions of ${name}`, read);
  if (stored.length === 0) throw await functionNotFound(context, name);
  return stored.map(parseVersion).sort((a, b) => b.number - a.number);
}

type Selector = NonNullable<Parameters<FunctionStore['resolve']>[1]>;

/** On the way of every call: one round trip. */
async function resolve(context: Context, name: string, selector: Selector): Promise<FunctionVersion> {
  const { redis, keys } = context;
  if (!isName(name)) throw await functionNotFound(context, name);
  const { alias = LIVE_ALIAS, version } = selector;
  const wanted = version === undefined ? ['alias', alias] : ['version', version];
  const touched = [keys.functionRecord(name), keys.aliases(name), keys.versions(name)];
  const reply = await withStore(`resolve ${name}`, () => runScript(redis, resolveScript, touched, wanted));
  const [status, value] = reply as [string, unknown];
  if (status === 'ok') return parseVersion(String(value));
  if (status === 'function_not_found') throw await functionNotFound(context, name);
  throw selectorNotFound(status, name, String(version ?? alias), value as string[]);
}

type NewVersion = Parameters<FunctionStore['publish']>[0];

async function publish({ redis, keys, now }: Context, version: NewVersion): Promise<FunctionVersion> {
  const name = checkFunctionName(version.functionName);
  const createdAt = now();
  // The script puts the number in front; one that a caller left in the object must not win over it.
  const json = JSON.stringify({ ...version, createdAt, number: undefined });
  const touched = [keys.functions, keys.counters, keys.functionRecord(name), keys.aliases(name), keys.versions(name)];
  const run = () => runScript(redis, publishScript, touched, [name, createdAt, json]);
  return parseVersion(String(await withStore(`publish ${name}`, run)));
}

async function setAlias(context: Context, name: string, alias: string, version: number): Promise<FunctionRecord> {
  const { redis, keys } = context;
  checkAlias(alias);
  if (!isName(name)) throw await functionNotFound(context, name);
  const touched = [keys.functionRecord(name), keys.aliases(name), keys.versions(name)];
  const run = () => runScript(redis, setAliasScript, touched, [alias, version]);
  const reply = await withStore(`set alias ${alias} of ${name}`, run);
  const [status, ...values] = reply as [string, ...string[][]];
  if (status === 'ok') return toRecord(pairs(values[0]), pairs(values[1]));
  if (status === 'function_not_found') throw await functionNotFound(context, name);
  throw selectorNotFound(status, name, String(version), values[0] ?? []);
}

/** Records of its invocations stay readable by id until they expire. */
async function remove(context: Context, name: string): Promise<void> {
  const { redis, keys } = context;
  const touched = [
    ...[keys.functions, keys.functionRecord(name), keys.aliases(name), keys.versions(name)],
    ...[keys.logs(name), keys.egressOf(name), keys.invocationsOf(name), keys.starts(name)],
  ];
  const run = () => (isName(name) ? runScript(redis, removeScript, touched, [name]) : Promise.resolve(0));
  const removed = await withStore(`remove ${name}`, run);
  if (removed !== 1) throw await functionNotFound(context, name);
}

const allNames = ({ redis, keys }: Context) => redis.zrange(keys.functions, '0', '-1');

/** A function that is removed between the reads is left out. */
async function readRecords({ redis, keys }: Context, names: string[]): Promise<FunctionRecord[]> {
  const reads = names.map((name) =>
    Promise.all([redis.hgetall(keys.functionRecord(name)), redis.hgetall(keys.aliases(name))]),
  );
  const found = await Promise.all(reads);
  return found.filter(([record]) => record['name'] !== undefined).map(([record, aliases]) => toRecord(record, aliases));
}

function toRecord(record: Record<string, string>, aliases: Record<string, string>): FunctionRecord {
  return {
    name: record['name'] ?? '',
    createdAt: Number(record['createdAt']),
    latest: Number(record['latest']),
    aliases: Object.fromEntries(Object.entries(aliases).map(([alias, number]) => [alias, Number(number)])),
  };
}

/** What a script gives for HGETALL: `[field, value, field, value]`. */
function pairs(flat: string[] = []): Record<string, string> {
  const found: Record<string, string> = {};
  for (let index = 0; index + 1 < flat.length; index += 2) found[flat[index] ?? ''] = flat[index + 1] ?? '';
  return found;
}

const parseVersion = (json: string) => JSON.parse(json) as FunctionVersion;

async function functionNotFound(context: Context, name: string): Promise<WaferError> {
  const known = await withStore('list functions', () => allNames(context));
  const shown = name.slice(0, 80);
  const close = nearest(shown, known);
  const hint = close === undefined ? 'wafer list shows the functions there are.' : `Did you mean "${close}"?`;
  return new WaferError('function_not_found', `There is no function "${shown}".`, { hint, details: { name: shown } });
}

function selectorNotFound(status: string, name: string, wanted: string, known: string[]): WaferError {
  const isAlias = status === 'alias_not_found';
  const code: ErrorCode = isAlias ? 'alias_not_found' : 'version_not_found';
  const sorted = isAlias ? known.sort() : known.sort((a, b) => Number(a) - Number(b));
  const shown = sorted.slice(-20).join(', ');
  const message = `Function "${name}" has no ${isAlias ? 'alias' : 'version'} "${wanted.slice(0, 80)}".`;
  return new WaferError(code, message, { hint: `There are: ${shown}.`, details: { name } });
}
