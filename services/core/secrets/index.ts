/** What people do with secrets: set, list, rotate, remove. Values only come in. */
import { timingSafeEqual } from 'node:crypto';
import { WaferError } from '../errors.ts';
import { SECRET_NAME, type SecretRef, type SecretSettings, secretRefs } from '../functions/secret-refs.ts';
import type { FunctionStore } from '../functions/types.ts';
import { type SecretsKey, seal, unseal } from './cipher.ts';
import { secretNotFound, versionNotFound } from './errors.ts';
import type { SecretFeed } from './feed.ts';
import { headOf, type KnownSecret, type SecretStore } from './store.ts';
import {
  MAX_SECRET_BYTES,
  MAX_SECRET_VERSIONS,
  MAX_SECRETS,
  type Secret,
  type SecretReader,
  type SecretVersion,
} from './types.ts';
import { namedSecrets, pinnedVersions, usersOf } from './users.ts';

export interface Secrets extends SecretReader {
  /** With the functions that name each in a version that an alias leads to. */
  list(): Promise<SecretView[]>;
  /** @throws WaferError `secret_not_found` */
  get(name: string): Promise<SecretView>;
  /** A new version, or the first one; none when the value is that of the newest. @throws WaferError `invalid_name | payload_too_large | invalid_request | conflict` */
  set(name: string, value: Buffer): Promise<SecretChanged>;
  /** A new version; those before it are forgotten, but for what functions pin. @throws as `set`, `secret_not_found` */
  rotate(name: string, value: Buffer): Promise<SecretChanged>;
  /** @throws WaferError `secret_not_found`, `conflict` when functions name it and `force` is false */
  remove(name: string, force: boolean): Promise<void>;
  /** Before a version is kept. @throws WaferError `invalid_config` */
  assertKnown(settings: SecretSettings): Promise<void>;
}

export interface SecretView extends Secret {
  usedBy: string[];
}

export interface SecretChanged {
  secret: SecretView;
  created: boolean;
  /** False: the value was there already. */
  changed: boolean;
  /** Instances on this worker that had an older version and make way for new ones. */
  replaced: number;
}

export interface SecretsDeps {
  store: SecretStore;
  key: SecretsKey;
  reader: SecretReader;
  functions: Pick<FunctionStore, 'list' | 'versions'>;
  /** Told of each change when it is durable. */
  feed: Pick<SecretFeed, 'note'>;
}

const NAME = new RegExp(`^${SECRET_NAME}$`);
const TRIES = 5;

export function createSecrets(deps: SecretsDeps): Secrets {
  const { store, reader, feed } = deps;
  const viewOf = async (secret: Secret): Promise<SecretView> => ({
    ...secret,
    usedBy: await usersOf(deps.functions, secret.name),
  });
  const put = async (name: string, value: Buffer, how: 'set' | 'rotate'): Promise<SecretChanged> => {
    assertName(name);
    assertValue(value);
    for (let attempt = 0; attempt < TRIES; attempt++) {
      const before = await store.find(name);
      if (before.secret === null && how === 'rotate') throw secretNotFound(name);
      if (how === 'set' && (await isSame(deps, before, value)))
        return { secret: await viewOf(before.secret as Secret), created: false, changed: false, replaced: 0 };
      const pinned = how === 'rotate' ? await pinnedVersions(deps.functions, name) : null;
      const { secret, goneVersions } = withVersion(before, name, pinned);
      const { latest: version } = secret;
      const sealed = seal(deps.key, { namespace: store.namespace, name, version }, value);
      const answer = await store.save(name, before, {
        secret,
        counter: version,
        added: { version, sealed },
        goneVersions,
      });
      if (answer === 'full') throw new WaferError('conflict', `There are ${MAX_SECRETS} secrets; remove some first.`);
      if (answer !== 'ok') continue;
      const replaced = feed.note(headOf(name, version, false));
      return { secret: await viewOf(secret), created: before.secret === null, changed: true, replaced };
    }
    throw new WaferError('conflict', `The secret ${name} is being changed by somebody else again and again.`);
  };
  return {
    read: reader.read,
    list: async () => {
      const [secrets, used] = await Promise.all([store.list(), namedSecrets(deps.functions)]);
      return secrets.map((secret) => ({ ...secret, usedBy: used.get(secret.name) ?? [] }));
    },
    get: async (name) => viewOf(existing(await store.find(name), name)),
    set: (name, value) => put(name, value, 'set'),
    rotate: (name, value) => put(name, value, 'rotate'),
    remove: (name, force) => remove(deps, name, force),
    assertKnown: (settings) => assertKnown(store, settings),
  };
}

async function remove({ store, functions, feed }: SecretsDeps, name: string, force: boolean): Promise<void> {
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const before = await store.find(name);
    const { versions } = existing(before, name);
    const users = force ? [] : await usersOf(functions, name);
    if (users.length > 0) {
      throw new WaferError('conflict', `The secret ${name} is used by ${users.join(', ')}.`, {
        hint: 'Deploy them without it first, or use force: their next instances fail to start then.',
        details: { functions: users },
      });
    }
    const goneVersions = versions.map(({ version }) => version);
    const change = { secret: null, counter: before.counter, goneVersions };
    if ((await store.save(name, before, change)) !== 'ok') continue;
    feed.note(headOf(name, before.counter, true));
    return;
  }
  throw new WaferError('conflict', `The secret ${name} is being changed by somebody else again and again.`);
}

async function assertKnown(store: SecretStore, settings: SecretSettings): Promise<void> {
  const wanted = secretRefs(settings);
  if (wanted.length === 0) return;
  const found = new Map((await store.list()).map((secret) => [secret.name, secret]));
  const problems = wanted.flatMap(({ path, ref }) => {
    const problem = unknownRef(ref, found);
    return problem === null ? [] : [{ path, problem, name: ref.name }];
  });
  const [first] = problems;
  if (first === undefined) return;
  const names = [...new Set(problems.map(({ name }) => name))].filter((name) => !found.has(name));
  throw new WaferError('invalid_config', `${problems.map(({ path, problem }) => `${path}: ${problem}`).join(' ')}`, {
    hint:
      names.length > 0
        ? `Set ${names.length === 1 ? 'it' : 'them'} first: ${names.map((name) => `wafer secret set ${name}`).join('; ')}`
        : 'wafer secret ls shows the versions that are there.',
    details: { path: first.path, problems: problems.map(({ path, problem }) => ({ path, problem })) },
  });
}

function unknownRef({ name, version }: SecretRef, found: ReadonlyMap<string, Secret>): string | null {
  const secret = found.get(name);
  if (secret === undefined) return secretNotFound(name, [...found.keys()]).message;
  if (version === undefined || secret.versions.some((one) => one.version === version)) return null;
  return versionNotFound(secret, version).message;
}

/** The newest version; all that were before it, or with `pinned` only those of them. */
function withVersion({ secret, counter }: KnownSecret, name: string, pinned: ReadonlySet<number> | null) {
  const version: SecretVersion = { version: counter + 1, createdAt: Date.now() };
  const before = secret?.versions ?? [];
  const kept = pinned === null ? before : before.filter((one) => pinned.has(one.version));
  if (kept.length >= MAX_SECRET_VERSIONS) {
    throw new WaferError('conflict', `The secret ${name} has ${kept.length} versions, which are all that are kept.`, {
      hint: `wafer secret rotate ${name} forgets those that no function pins.`,
    });
  }
  return {
    secret: {
      name,
      createdAt: secret?.createdAt ?? version.createdAt,
      latest: version.version,
      versions: [...kept, version],
    },
    goneVersions: before.filter((one) => !kept.includes(one)).map((one) => one.version),
  };
}

function existing({ secret }: KnownSecret, name: string): Secret {
  if (secret === null) throw secretNotFound(name);
  return secret;
}

async function isSame({ store, key }: SecretsDeps, { secret }: KnownSecret, value: Buffer): Promise<boolean> {
  if (secret === null) return false;
  const place = { name: secret.name, version: secret.latest };
  const [sealed] = await store.values([place]);
  if (!sealed) return false;
  try {
    const known = unseal(key, { namespace: store.namespace, ...place }, sealed);
    return known.length === value.length && timingSafeEqual(known, value);
  } catch (error) {
    // What can not be opened is to be set again.
    if (error instanceof WaferError && error.code === 'secrets_locked') return false;
    throw error;
  }
}

function assertName(name: string): void {
  if (NAME.test(name)) return;
  throw new WaferError('invalid_name', `${JSON.stringify(name.slice(0, 80))} is no name for a secret.`, {
    hint: '1 to 64 letters, digits, dots, dashes and _, beginning with a letter or digit.',
  });
}

function assertValue(value: Buffer): void {
  if (value.length === 0) throw new WaferError('invalid_request', 'The value of the secret is empty.');
  if (value.length <= MAX_SECRET_BYTES) return;
  throw new WaferError(
    'payload_too_large',
    `The value of the secret has ${value.length} bytes; at most ${MAX_SECRET_BYTES} are allowed.`,
  );
}
