import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { dataPaths } from '../core/config.ts';
import { isErrno } from '../core/errors.ts';

type Env = Record<string, string | undefined>;

/**
 * Where the admin key may lie. A platform that was started as root runs as the system user `wafer`
 * with its data in that user's home; root may read it there.
 */
export function keyFiles(dataDir: string, env: Env): string[] {
  const own = dataPaths(dataDir).adminKey;
  if (env['WAFER_DATA'] || process.getuid?.() !== 0) return [own];
  return [own, dataPaths(join('/var/lib/wafer', '.local/share/wafer')).adminKey];
}

function readKey(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim() || null;
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES', 'EPERM')) return null;
    throw error;
  }
}

export interface ApiKey {
  value: string;
  /** `WAFER_KEY` or a file. */
  source: string;
}

export function findApiKey(dataDir: string, env: Env): ApiKey | null {
  if (env['WAFER_KEY']) return { value: env['WAFER_KEY'], source: 'WAFER_KEY' };
  for (const source of keyFiles(dataDir, env)) {
    const value = readKey(source);
    if (value !== null) return { value, source };
  }
  return null;
}
