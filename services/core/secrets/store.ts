/** Secrets in Redis: what is known of them, and their values, encrypted. A change is checked against what it was made of. */
import type { Redis } from 'ioredis';
import type { SecretRef } from '../functions/secret-refs.ts';
import { withStore } from '../store/errors.ts';
import { DEFAULT_NAMESPACE, keysOf } from '../store/keys.ts';
import { runScript } from '../store/scripts/script.ts';
import { saveSecretScript } from '../store/scripts/secrets.ts';
import { MAX_SECRETS, type Secret } from './types.ts';

/** What a change was made of. */
export interface KnownSecret {
  secret: Secret | null;
  json: string;
  /** The last version ever given out, also of one that was removed. */
  counter: number;
}

export interface SecretChange {
  /** Null removes it. */
  secret: Secret | null;
  counter: number;
  added?: { version: number; sealed: string };
  goneVersions?: readonly number[];
}

/** Which versions of a secret are still to be used: from `firstGood` on; it may be one that is not there yet. */
export interface SecretHead {
  name: string;
  firstGood: number;
  isRemoved: boolean;
}

export type SecretStore = ReturnType<typeof createSecretStore>;

const fieldOf = (name: string, version: number) => `${name}@${version}`;
const byName = (one: Secret, other: Secret) => (one.name < other.name ? -1 : 1);

export function createSecretStore({ redis, namespace = DEFAULT_NAMESPACE }: { redis: Redis; namespace?: string }) {
  const keys = keysOf(namespace);
  return {
    namespace,
    async list(): Promise<Secret[]> {
      const all = await withStore('list secrets', () => redis.hvals(keys.secrets));
      return all.map((json) => JSON.parse(json) as Secret).sort(byName);
    },
    async find(name: string): Promise<KnownSecret> {
      const [json, counter] = await withStore('read a secret', () =>
        Promise.all([redis.hget(keys.secrets, name), redis.hget(keys.secretCounters, name)]),
      );
      return {
        secret: json === null ? null : (JSON.parse(json) as Secret),
        json: json ?? '',
        counter: Number(counter ?? 0),
      };
    },
    /** In order; null: there is none. One answer for all, so that they are of one moment each. */
    async findAll(names: readonly string[]): Promise<(Secret | null)[]> {
      if (names.length === 0) return [];
      const found = await withStore('read secrets', () => redis.hmget(keys.secrets, ...names));
      return found.map((json) => (json === null ? null : (JSON.parse(json) as Secret)));
    },
    /** Sealed, in order; null: that version is not there any more. */
    async values(wanted: readonly Required<SecretRef>[]): Promise<(string | null)[]> {
      if (wanted.length === 0) return [];
      const fields = wanted.map(({ name, version }) => fieldOf(name, version));
      return withStore('read secrets', () => redis.hmget(keys.secretValues, ...fields));
    },
    /** @returns `ok` | `full` | `changed` */
    async save(name: string, before: KnownSecret, { secret, counter, added, goneVersions = [] }: SecretChange) {
      const touched = [keys.secrets, keys.secretValues, keys.secretCounters, keys.secretsRevision];
      const args = [
        ...[name, before.json, secret === null ? '' : JSON.stringify(secret), before.counter, counter, MAX_SECRETS],
        ...(added === undefined ? ['', ''] : [fieldOf(name, added.version), added.sealed]),
        ...goneVersions.map((version) => fieldOf(name, version)),
      ];
      return String(await withStore('keep a secret', () => runScript(redis, saveSecretScript, touched, args)));
    },
    /** Another one says that something has changed. */
    revision: async (): Promise<string> =>
      (await withStore('look for changes of secrets', () => redis.get(keys.secretsRevision))) ?? '0',
    async heads(): Promise<SecretHead[]> {
      const [counters, names] = await withStore('read secrets', () =>
        Promise.all([redis.hgetall(keys.secretCounters), redis.hkeys(keys.secrets)]),
      );
      const there = new Set(names);
      return Object.entries(counters).map(([name, counter]) => headOf(name, Number(counter), !there.has(name)));
    },
  };
}

export const headOf = (name: string, counter: number, isRemoved: boolean): SecretHead => ({
  name,
  firstGood: isRemoved ? counter + 1 : counter,
  isRemoved,
});
