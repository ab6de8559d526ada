import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { WaferError } from '../errors.ts';

/** System folders that a plain user's PATH may lack. */
const EXTRA_FOLDERS = ['/usr/local/bin', '/usr/bin', '/bin', '/usr/local/sbin', '/usr/sbin', '/sbin'];

/** @throws WaferError `redis_missing`, with the package to install */
export async function findProgram(name: string, debianPackage: string, path: string): Promise<string> {
  for (const folder of [...path.split(delimiter), ...EXTRA_FOLDERS]) {
    if (!folder.startsWith('/')) continue;
    const file = join(folder, name);
    if (await isExecutable(file)) return file;
  }
  throw new WaferError('redis_missing', `${name} is needed for the embedded Redis and is not in ${path || 'PATH'}.`, {
    hint: `Install it: sudo apt-get install -y ${debianPackage} - or set WAFER_REDIS_URL to a Redis that you run.`,
  });
}

async function isExecutable(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
