/** Values for instances that start, from the store of this platform. */
import type { SecretRef } from '../functions/secret-refs.ts';
import { type SecretsKey, unseal } from './cipher.ts';
import { secretNotFound, versionNotFound } from './errors.ts';
import type { SecretStore } from './store.ts';
import type { SecretReader, SecretValue } from './types.ts';

/** The newest version may be rotated away between two looks. */
const TRIES = 5;

export function createSecretReader({ store, key }: { store: SecretStore; key: SecretsKey }): SecretReader {
  const readOnce = async (refs: readonly SecretRef[]): Promise<SecretValue[] | { missing: Required<SecretRef> }> => {
    const records = await store.findAll(refs.map(({ name }) => name));
    const wanted = refs.map((ref, index) => {
      const record = records[index];
      if (!record) throw secretNotFound(ref.name);
      const isThere = ref.version === undefined || record.versions.some(({ version }) => version === ref.version);
      if (!isThere) throw versionNotFound(record, ref.version ?? 0);
      return { name: ref.name, version: ref.version ?? record.latest };
    });
    const sealed = await store.values(wanted);
    const values: SecretValue[] = [];
    for (const [index, place] of wanted.entries()) {
      const text = sealed[index] ?? null;
      if (text === null) return { missing: place };
      values.push({ ...place, value: unseal(key, { namespace: store.namespace, ...place }, text) });
    }
    return values;
  };
  return {
    async read(refs) {
      for (let attempt = 1; ; attempt++) {
        const found = await readOnce(refs);
        if (!('missing' in found)) return found;
        if (attempt === TRIES) throw secretNotFound(found.missing.name);
      }
    },
  };
}
