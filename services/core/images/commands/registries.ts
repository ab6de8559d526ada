/** Registries themselves: logging in, and what they have. */

import { WaferError } from '../../errors.ts';
import { parseReference } from '../reference.ts';
import { searchRegistry } from '../registry/search.ts';
import type { ImageService, ImageServiceDeps } from '../service.ts';

type RegistryParts = Pick<ImageService, 'login' | 'logout' | 'registries' | 'search'>;

/** By `host` or `host:port`, checked by the rules of references. */
const registryOf = (text: string) => parseReference(`${text}/check`, null).registry;

function chosen(text: string | undefined, defaultRegistry: string | null): string {
  if (text !== undefined) return registryOf(text);
  if (defaultRegistry !== null) return defaultRegistry;
  throw new WaferError('invalid_request', 'There is no registry to search.', {
    hint: 'Name one with --registry, or set WAFER_DEFAULT_REGISTRY.',
  });
}

export function registryParts({ client, credentials, defaultRegistry }: ImageServiceDeps): RegistryParts {
  return {
    async login(text, username, password, signal) {
      const registry = registryOf(text);
      await client.check(registry, { username, password }, signal);
      await credentials.set(registry, { username, password });
    },
    logout: async (text) => credentials.remove(registryOf(text)),
    registries: () => credentials.registries(),
    search: async ({ term, registry, limit, signal }) =>
      searchRegistry(client, chosen(registry, defaultRegistry), { term, limit, signal }),
  };
}
