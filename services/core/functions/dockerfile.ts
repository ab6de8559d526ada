/** Whether a folder becomes a function by its Dockerfile. One rule for the sender, which packs another way then, and the deployer. */
import type { ConfigFile } from './schema.ts';
import { refuse } from './validate.ts';

const DEFAULT_FILE = 'Dockerfile';

/**
 * Path of the Dockerfile, or null when the folder is built over a base image. One that nobody
 * named counts unless the settings say how else the function is made.
 * @throws WaferError `invalid_config` when `dockerfile` leaves the folder
 */
export function dockerfileOf(
  { dockerfile, runtime, base }: Pick<ConfigFile, 'dockerfile' | 'runtime' | 'base'>,
  hasDefault: () => boolean,
): string | null {
  if (dockerfile !== undefined) return checkPath(dockerfile);
  const isForBase = runtime === 'node' || runtime === 'python' || base !== undefined;
  return !isForBase && hasDefault() ? DEFAULT_FILE : null;
}

function checkPath(text: string): string {
  const path = text.replace(/^(\.\/+)+/, '');
  const parts = path.split('/');
  if (path !== '' && !path.startsWith('/') && !parts.includes('..') && !parts.includes('')) return path;
  throw refuse([
    { path: '/dockerfile', problem: 'must be the path of a file in the folder, like "docker/Dockerfile"' },
  ]);
}
